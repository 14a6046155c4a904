"""A stand-in for Microsoft Entra and one Dynamics 365 organization, over TLS on this machine.

`make run` shows leads arriving in it, and the tests talk to it. Beyond answering as documented, it can be made to fail:
see `StandIn.fail`, and the attributes of `StandIn.dataverse` and `StandIn.entra`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dev import certificate
from dev.standins import Item
from dev.standins.dynamics import shown
from dev.standins.dynamics.dataverse import BASE, THROTTLES, Dataverse, error
from dev.standins.dynamics.tables import Record
from dev.standins.entra import IDENTITY_PATH, Entra, Identity, Registration
from dev.standins.server import Answer, Call, Failure, Request, Server

TITLE = "Dynamics 365"
ADDRESS = ("DYNAMICS_URL",)
TENANT_ID = "11111111-1111-4111-8111-111111111111"
CLIENT_ID = "33333333-3333-4333-8333-333333333333"
USER_ID = "44444444-4444-4444-8444-444444444444"
SECRET = "stand-in~secret"


def start(directory: Path, _: Mapping[str, str]) -> StandIn:
    """An organization with one app registration that may write leads."""
    return StandIn(directory)


class StandIn:
    """An authority and an organization at `https://localhost:<port>`, while its `with` block lasts.

    `directory` keeps its certificate authority between runs; `port` 0 takes a free one.
    """

    tenant_id = TENANT_ID
    client_id = CLIENT_ID
    client_secret = SECRET

    def __init__(self, directory: Path | str, port: int = 0) -> None:
        ca_file, server_file = certificate.server_files(Path(directory))
        self.ca_file = str(ca_file.resolve())
        self._server = Server(self._answer, server_file, port)
        self.url = self.authority = f"https://localhost:{self._server.port}"
        self.reset()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def reset(self) -> None:
        """Forget every record, call, token and script; one app registration with its application user is left."""
        self._server.release()
        self._server.calls.clear()
        self._server.failures.clear()
        self._server.connections = 0
        self.entra = Entra(self.authority)
        self.entra.resources.add(self.url)
        self.entra.registrations[CLIENT_ID] = Registration(CLIENT_ID, secrets={SECRET})
        self.dataverse = Dataverse(self.url, self.entra.holder)
        self.dataverse.members[CLIENT_ID] = USER_ID

    def environ(self) -> dict[str, str]:
        """The settings with which the app signs in here with a client secret."""
        return {
            "DYNAMICS_URL": self.url,
            "DYNAMICS_TENANT_ID": TENANT_ID,
            "DYNAMICS_CLIENT_ID": CLIENT_ID,
            "DYNAMICS_CLIENT_SECRET": SECRET,
            "DYNAMICS_AUTHORITY": self.authority,
            "REQUESTS_CA_BUNDLE": self.ca_file,
        }

    def identity_environ(self) -> dict[str, str]:
        """What App Service puts into the environment of an app with a managed identity."""
        return {
            "IDENTITY_ENDPOINT": f"{self.url}{IDENTITY_PATH}",
            "IDENTITY_HEADER": self.entra.identity_header,
            "REQUESTS_CA_BUNDLE": self.ca_file,
        }

    @property
    def registration(self) -> Registration:
        """The app registration that `environ` names."""
        return self.entra.registrations[CLIENT_ID]

    @property
    def leads(self) -> dict[str, Record]:
        """The leads by GUID."""
        return self.dataverse.tables["leads"].records

    @property
    def notes(self) -> dict[str, Record]:
        """The notes by GUID."""
        return self.dataverse.tables["annotations"].records

    @property
    def tasks(self) -> dict[str, Record]:
        """The tasks by GUID."""
        return self.dataverse.tables["tasks"].records

    @property
    def calls(self) -> list[Call]:
        """Every request so far, to Entra and to Dataverse, in the order of their answers."""
        return self._server.calls

    @property
    def api_calls(self) -> list[Call]:
        """The requests to Dataverse alone."""
        return [call for call in self._server.calls if call.path.startswith(BASE)]

    @property
    def connections(self) -> int:
        """How many connections clients have opened."""
        return self._server.connections

    def fail(
        self,
        status: int = 503,
        code: str = "",
        message: str = "",
        *,
        times: int = 1,
        method: str = "",
        path: str = BASE,
        headers: Mapping[str, str] | None = None,
        html: str = "",
        body: Any = None,
        do_the_work_first: bool = False,
        close: bool = False,
        hang: bool = False,
        before: Callable[[], None] | None = None,
    ) -> None:
        """Let the next `times` requests fail whose method is `method` and in whose path the pattern `path` is found.

        The answer has `status` and the Web API's error body of `code` and `message`, or `html`, or the JSON `body`.
        `do_the_work_first` writes the record all the same; `close` drops the connection instead of answering; `hang`
        lets the client run into its timeout; `before` is called first, to put a clock forward for instance.
        """
        answer = error(status, code, message)
        answer = Answer(status, html or (answer.body if body is None else body), {**answer.headers, **(headers or {})})
        self._server.failures.append(Failure(answer, times, method, path, do_the_work_first, close, hang, before))

    def throttle(self, limit: str = "requests", retry_after: str = "30", times: int = 1) -> None:
        """Let the next requests meet a service protection limit: `requests`, `time` or `concurrency`."""
        code, message = THROTTLES[limit]
        self.fail(429, code, message, times=times, headers={"Retry-After": retry_after})

    def revoke_tokens(self) -> None:
        """Let every token issued so far be refused with 401."""
        self.entra.tokens.clear()

    def add_identity(self, client_id: str = "", *, system_assigned: bool = False, member: bool = True) -> Identity:
        """Give the function app a managed identity; `member` makes it an application user of the organization."""
        identity = Identity(client_id or str(uuid.uuid4()), str(uuid.uuid4()), system_assigned)
        self.entra.identities.append(identity)
        if member:
            self.dataverse.members[identity.client_id] = str(uuid.uuid4())
        return identity

    def close_lead(self, guid: str, *, qualified: bool = True) -> None:
        """Qualify or disqualify a lead, as a salesperson does: it is read-only from then on."""
        self.leads[guid] |= {"statecode": 1, "statuscode": 3} if qualified else {"statecode": 2, "statuscode": 4}

    def delete(self, entity_set: str, guid: str) -> None:
        """Delete a record, as a salesperson does; a lead takes its notes and tasks with it."""
        self.dataverse.delete(entity_set, guid)

    def received(self) -> list[Item]:
        """The leads as a salesperson sees them, each with what hangs on it."""
        with self.dataverse.lock:
            return [
                shown.item(guid, self.leads[guid], [*self.notes.values(), *self.tasks.values()]) for guid in self.leads
            ]

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith(f"{BASE}/"):
            return self.dataverse.answer(request)
        return self.entra.answer(request)
