"""Take signed leads: `pip install standardwebhooks`, then `WEBHOOK_SECRET=whsec_… python receive.py`, behind HTTPS."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body, status = self.rfile.read(int(self.headers["content-length"])), 204
        try:
            event = Webhook(os.environ["WEBHOOK_SECRET"]).verify(body, dict(self.headers))
            # Remember webhook-id: the same lead may come again.
            print(self.headers["webhook-id"], event["type"], event["data"], flush=True)
        except (WebhookVerificationError, ValueError):
            status = 401
        self.send_response(status)
        self.end_headers()


HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Receiver).serve_forever()
