"""A stand-in for one Salesforce org: its token endpoint, its REST API and its Web-to-Lead, over TLS on this machine.

Errors of the token endpoint follow Salesforce Help, "OAuth 2.0 authorization errors", and public threads. Beyond
answering as documented it can be made to fail (`StandIn.fail`), and people can be played (`StandIn.org`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dev import certificate
from dev.standins import Item
from dev.standins.salesforce import shown
from dev.standins.salesforce.objects import Record
from dev.standins.salesforce.org import BASE, Org, refused
from dev.standins.server import Answer, Call, Failure, Request, Server

TITLE = "Salesforce"
ADDRESS = ("SALESFORCE_URL",)
CLIENT_ID = "3MVG9.stand-in.consumer.key"
SECRET = "stand-in~secret"
USERNAME = "leads@contoso.example"
OID = "00D5g000000StnD"

_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_FORM = {
    "first_name": "FirstName",
    "last_name": "LastName",
    "company": "Company",
    "title": "Title",
    "email": "Email",
    "phone": "Phone",
    "URL": "Website",
    "country": "Country",
    "lead_source": "LeadSource",
    "description": "Description",
    "rating": "Rating",
}


def start(directory: Path, _: Mapping[str, str]) -> StandIn:
    """An org with an External Client App that may write leads."""
    return StandIn(directory)


class StandIn:
    """An org at `https://localhost:<port>`, while its `with` block lasts."""

    def __init__(self, directory: Path | str, port: int = 0) -> None:
        ca_file, server_file = certificate.server_files(Path(directory))
        self.ca_file = str(ca_file.resolve())
        self._server = Server(self._answer, server_file, port)
        self.url = f"https://localhost:{self._server.port}"
        self.reset()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def reset(self) -> None:
        """Forget every record, call, token and script."""
        self._server.release()
        self._server.calls.clear()
        self._server.failures.clear()
        self.tokens: set[str] = set()
        self.org = Org(self.tokens.__contains__)
        self.run_as: str = USERNAME
        """The user of the client credentials flow; empty where none is named."""
        self.public_key: Any = None
        """What a JWT must be signed for; None where no certificate was uploaded."""

    def environ(self) -> dict[str, str]:
        """The settings with which the app signs in here with a client secret."""
        return {
            "SALESFORCE_URL": self.url,
            "SALESFORCE_CLIENT_ID": CLIENT_ID,
            "SALESFORCE_CLIENT_SECRET": SECRET,
            "SALESFORCE_OID": OID,
            "REQUESTS_CA_BUNDLE": self.ca_file,
        }

    @property
    def calls(self) -> list[Call]:
        """Every request so far, in the order of their answers."""
        return self._server.calls

    @property
    def api_calls(self) -> list[Call]:
        """The requests to the REST API alone."""
        return [call for call in self._server.calls if call.path.startswith(BASE)]

    @property
    def leads(self) -> dict[str, Record]:
        """The leads that a person sees, by id."""
        return self.org.live("Lead")

    @property
    def tasks(self) -> dict[str, Record]:
        """The tasks that a person sees, by id."""
        return self.org.live("Task")

    def fail(
        self,
        status: int = 503,
        code: str = "SERVER_UNAVAILABLE",
        message: str = "x",
        *,
        fields: tuple[str, ...] = (),
        times: int = 1,
        method: str = "",
        path: str = BASE,
        html: str = "",
        headers: Mapping[str, str] | None = None,
        do_the_work_first: bool = False,
        close: bool = False,
        before: Callable[[], None] | None = None,
    ) -> None:
        """Let the next `times` requests fail whose method is `method` and in whose path the pattern `path` is found."""
        answer = Answer(status, html or refused(status, code, message, *fields).body, headers or {})
        self._server.failures.append(Failure(answer, times, method, path, do_the_work_first, close, before=before))

    def received(self) -> list[Item]:
        """The leads as a salesperson sees them, each with what hangs on it."""
        with self.org.lock:
            return [shown.item(lead, self.tasks.values()) for lead in self.leads.values()]

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith(BASE):
            return self.org.answer(request)
        if (request.method, request.path) == ("POST", "/services/oauth2/token"):
            return self._token(request.form())
        if (request.method, request.path) == ("POST", "/servlet/servlet.WebToLead"):
            return self._form(request.form())
        return Answer(404, "<!DOCTYPE html><title>URL No Longer Exists</title>")

    def _token(self, form: Mapping[str, str]) -> Answer:
        problem = self._by_assertion(form) if form.get("grant_type") == _JWT else self._by_secret(form)
        if problem:
            return Answer(400, {"error": problem[0], "error_description": problem[1]})
        token = f"00D5g!{secrets.token_hex(16)}"
        self.tokens.add(token)
        return Answer(200, {"access_token": token, "instance_url": self.url, "token_type": "Bearer", "scope": "api"})

    def _by_secret(self, form: Mapping[str, str]) -> tuple[str, str] | None:
        if form.get("grant_type") != "client_credentials":
            return "unsupported_grant_type", "grant type not supported"
        if form.get("client_id") != CLIENT_ID:
            return "invalid_client_id", "client identifier invalid"
        if form.get("client_secret") != SECRET:
            return "invalid_client", "invalid client credentials"
        return None if self.run_as else ("invalid_grant", "no client credentials user enabled")

    def _by_assertion(self, form: Mapping[str, str]) -> tuple[str, str] | None:
        import jwt

        if self.public_key is None:
            return "invalid_grant", "user hasn't approved this consumer"
        try:
            claims = jwt.decode(
                form.get("assertion", ""),
                self.public_key,
                algorithms=["RS256"],
                audience="https://login.salesforce.com",
                options={"require": ["iss", "sub", "aud", "exp"]},
            )
        except jwt.InvalidAudienceError:
            return "invalid_grant", "audience is invalid"
        except jwt.PyJWTError:
            return "invalid_grant", "invalid assertion"
        if claims["iss"] != CLIENT_ID:
            return "invalid_client_id", "client identifier invalid"
        return None if claims["sub"] == USERNAME else ("invalid_grant", "user does not exist")

    def _form(self, form: Mapping[str, str]) -> Answer:
        """Take a form: always 200, whatever becomes of it."""
        if form.get("oid") != OID:
            return Answer(200, "", {"Is-Processed": "true Exception:common.exception.SalesforceGenericException"})
        values: Record = {_FORM.get(name, name): value for name, value in form.items() if name != "oid"}
        values |= {name: True for name, flag in _FLAGS.items() if values.pop(flag, "") == "1"}
        with self.org.lock:
            self.org.insert("Lead", values)
        return Answer(200, "", {"Is-Processed": "true"})


_FLAGS = {"HasOptedOutOfEmail": "emailOptOut", "DoNotCall": "doNotCall"}
