// Take signed leads: `npm install standardwebhooks`, then `WEBHOOK_SECRET=whsec_… node receive.cjs`, behind HTTPS.
const { createServer } = require("node:http");
const { Webhook } = require("standardwebhooks");

createServer((request, response) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    try {
      const event = new Webhook(process.env.WEBHOOK_SECRET).verify(Buffer.concat(pieces).toString(), request.headers);
      // Remember webhook-id: the same lead may come again.
      console.log(request.headers["webhook-id"], event.type, event.data);
      response.writeHead(204).end();
    } catch {
      response.writeHead(401).end();
    }
  });
}).listen(process.env.PORT ?? 8080, "127.0.0.1");
