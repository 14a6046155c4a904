"""Access tokens for the app itself, by msal: client secret, certificate, managed identity, or the latter as a
federated credential of an app registration. Signing in as a user is not supported.

msal reads its own token cache and goes to the network only when it has to. All its requests go through
`leads.transport`, and an answer other than a success never reaches msal: it is raised as a `leads.errors.Failure` on
the way. So msal's memory of failed answers (a 400 for 60 seconds, a 429 or 5xx for `Retry-After` or 5 seconds) stays
empty, and every attempt of a delivery that reports a failure has really been made.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from leads import entra_errors, transport
from leads.errors import Failure, Misconfigured
from leads.reader import Reader, Setting
from leads.transport import SEND_SECONDS, Deadline, Response

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

AUTHORITY = "https://login.microsoftonline.com"
GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.IGNORECASE)
_FINDING = Lock()
_EXCHANGE = "api://AzureADTokenExchange"
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)
"""What msal raises for a success with missing fields, or fields of another type."""


@dataclass(frozen=True)
class Credentials:
    """Who signs in, and with what: a secret, else a certificate, else the function app's managed identity.

    `tenant_id` and `client_id` are those of the app registration and may be empty for a plain managed identity.
    `certificate` is PEM with both private key and certificate; a backslash and `n` may stand for its line breaks.
    With `federated` the managed identity signs in as the app registration, which may be in another tenant.
    `managed_identity_client_id` names a user-assigned identity; empty means the system-assigned one.
    `prefix` is what the names of the settings behind all this begin with, for remedies.
    """

    tenant_id: str = ""
    client_id: str = ""
    secret: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    authority: str = AUTHORITY
    managed_identity_client_id: str = ""
    federated: bool = False
    prefix: str = ""


def settings(prefix: str) -> tuple[Setting, ...]:
    """The settings of credentials; their names begin with `prefix`, such as `EMAIL_GRAPH`."""
    return (
        Setting(f"{prefix}_TENANT_ID", "The directory of the app registration: a GUID or a domain"),
        Setting(f"{prefix}_CLIENT_ID", "The application id of the app registration. Empty: the managed identity"),
        Setting(f"{prefix}_CLIENT_SECRET", "The app registration's client secret", secret=True, own=True),
        Setting(
            f"{prefix}_CERTIFICATE",
            "Instead of a secret: private key and certificate in PEM; `\\n` may stand for line breaks",
            secret=True,
            own=True,
        ),
        Setting(
            f"{prefix}_FEDERATED",
            "`true`: the managed identity signs in as the app registration, by a federated credential",
            "false",
        ),
        Setting(f"{prefix}_MANAGED_IDENTITY_CLIENT_ID", "The client id of a user-assigned managed identity"),
        Setting(f"{prefix}_AUTHORITY", "Where to sign in, for other clouds", AUTHORITY),
    )


def read(reader: Reader, prefix: str) -> Credentials:
    """Read the settings that `settings(prefix)` declares: exactly one way to sign in, with everything it needs."""
    secret = reader.text(f"{prefix}_CLIENT_SECRET")
    certificate = reader.text(f"{prefix}_CERTIFICATE").replace("\\n", "\n")
    federated = reader.choice(f"{prefix}_FEDERATED", "false", ("false", "true")) == "true"
    found = Credentials(
        tenant_id=_tenant(reader, f"{prefix}_TENANT_ID"),
        client_id=_guid(reader, f"{prefix}_CLIENT_ID"),
        secret=secret,
        certificate=certificate,
        authority=_authority(reader, f"{prefix}_AUTHORITY"),
        managed_identity_client_id=_guid(reader, f"{prefix}_MANAGED_IDENTITY_CLIENT_ID"),
        federated=federated,
        prefix=prefix,
    )
    if sum((bool(secret), bool(certificate), federated)) > 1:
        reader.problem(
            f"{prefix}_CLIENT_SECRET" if secret else f"{prefix}_CERTIFICATE",
            f"More than one of {prefix}_CLIENT_SECRET, {prefix}_CERTIFICATE and {prefix}_FEDERATED is set.",
            "Keep one and remove the others.",
        )
    if certificate and not ("PRIVATE KEY-----" in certificate and "BEGIN CERTIFICATE-----" in certificate):
        reader.problem(
            f"{prefix}_CERTIFICATE",
            "It has to hold both a private key and a certificate in PEM.",
            "Paste both blocks, one after the other, with their BEGIN and END lines.",
        )
    if secret or certificate or federated:
        for name in (f"{prefix}_TENANT_ID", f"{prefix}_CLIENT_ID"):
            if not reader.is_set(name):
                reader.problem(name, "It is not set.", "Paste it from the overview page of the app registration.")
    elif reader.is_set(f"{prefix}_CLIENT_ID") and not (
        reader.is_set(f"{prefix}_CLIENT_SECRET") or reader.is_set(f"{prefix}_CERTIFICATE")
    ):
        reader.problem(
            f"{prefix}_CLIENT_SECRET",
            f"{prefix}_CLIENT_ID names an app registration, but there is no credential for it.",
            f"Set {prefix}_CLIENT_SECRET, {prefix}_CERTIFICATE or {prefix}_FEDERATED. Or remove {prefix}_CLIENT_ID to "
            f"use the managed identity ({prefix}_MANAGED_IDENTITY_CLIENT_ID names a user-assigned one).",
        )
    return found


def _guid(reader: Reader, name: str) -> str:
    value = reader.text(name)
    if value and not GUID.fullmatch(value):
        reader.problem(
            name, "It must be a GUID.", "Paste the id as the portal shows it, 36 characters with four hyphens."
        )
        return ""
    return value.lower()


def _tenant(reader: Reader, name: str) -> str:
    value = reader.text(name)
    if value and not GUID.fullmatch(value) and not _DOMAIN.fullmatch(value):
        reader.problem(
            name,
            "It is neither a GUID nor a domain: Entra would say that the requested tenant identifier is not valid.",
            "Paste the directory (tenant) id of the app registration.",
        )
        return ""
    return value


def _authority(reader: Reader, name: str) -> str:
    url = reader.url(name, schemes=("https", "http"))
    if url.startswith("http://") and urlsplit(url).hostname not in ("localhost", "127.0.0.1", "::1"):
        reader.problem(name, "It is not encrypted.", "Start it with https://.")
        return AUTHORITY
    return url or AUTHORITY


def token(credentials: Credentials, resource: str, *, deadline: Deadline, fresh: bool = False) -> str:
    """An access token for `resource` (`https://graph.microsoft.com`, without a path), from memory where possible.

    `fresh` drops the token in memory first: for one more try after a 401. The managed identity endpoint keeps tokens
    of its own and may give the same again. Raises Misconfigured, Throttled or Transient.
    """
    try:
        return _shared(credentials).obtain(resource, deadline, fresh=fresh)[0]
    except Failure as failure:
        # Whatever became of the sign-in, nothing of the lead has left.
        failure.unanswered = False
        raise


def person(credentials: Credentials, deadline: Deadline) -> Any:
    """An msal application for signing people in (`msal.ConfidentialClientApplication`), made anew for each step.

    It remembers nobody. What it asks is bounded by the deadline; any answer but a success is raised as a Failure.
    """
    return _Client(credentials).person(deadline)


class ManagedIdentityCredential:
    """The function app's managed identity, for the Azure SDK's clients (`azure.core.credentials.TokenCredential`)."""

    def __init__(self, client_id: str = "") -> None:
        """Take the user-assigned identity with this client id; the system-assigned one without."""
        self._credentials = Credentials(managed_identity_client_id=client_id, prefix="AzureWebJobsStorage")

    def get_token(self, *scopes: str, claims: str | None = None, **_: Any) -> AccessToken:
        """A token for the resource of the first scope. Raises azure.core.exceptions.ClientAuthenticationError."""
        from azure.core.credentials import AccessToken
        from azure.core.exceptions import ClientAuthenticationError

        resource = scopes[0].removesuffix("/.default")
        deadline = Deadline.after(SEND_SECONDS)
        try:
            return AccessToken(*_shared(self._credentials).obtain(resource, deadline, fresh=bool(claims)))
        except Failure as failure:
            raise ClientAuthenticationError(f"{failure.cause} {failure.remedy}") from None


def _shared(credentials: Credentials) -> _Client:
    """The process's one client for these credentials, also when many ask for it at once."""
    with _FINDING:
        return _client(credentials)


@cache
def _client(credentials: Credentials) -> _Client:
    return _Client(credentials)


class _Client:
    """One msal object, made at the first use, since making it asks the network. One caller at a time."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._lock = Lock()
        self._http: list[_Http] = []
        self._caches: list[Any] = []
        self._acquire: Callable[[str], Any] | None = None

    def obtain(self, resource: str, deadline: Deadline, *, fresh: bool) -> tuple[str, int]:
        """A token and the Unix time in seconds at which it expires."""
        while not self._lock.acquire(timeout=deadline.remaining()):
            pass
        try:
            return self._obtain(resource, deadline, fresh=fresh)
        finally:
            self._lock.release()

    def _obtain(self, resource: str, deadline: Deadline, *, fresh: bool) -> tuple[str, int]:
        for http in self._http:
            http.deadline = deadline
        if fresh:
            for tokens in self._caches:
                for entry in list(tokens.search(tokens.CredentialType.ACCESS_TOKEN)):
                    tokens.remove_at(entry)
        if self._acquire is None:
            self._acquire = self._make(deadline)
        result = self._acquire(resource)
        return result["access_token"], int(time.time()) + int(result["expires_in"])

    def _make(self, deadline: Deadline) -> Callable[[str], Any]:
        """Make the msal object for these credentials; what it fetches on the way is bounded by the deadline."""
        mine = self._credentials
        self._http, self._caches = [], []
        if not (mine.secret or mine.certificate or mine.federated):
            return self._identity(deadline)
        if not mine.tenant_id or not mine.client_id:
            raise Misconfigured(
                "The sign-in lacks the tenant id or the client id.",
                f"Set {mine.prefix}_TENANT_ID and {mine.prefix}_CLIENT_ID, from the app registration.",
            )
        return self._application(self._credential(deadline), deadline)

    def _credential(self, deadline: Deadline) -> Any:
        mine = self._credentials
        if mine.secret:
            return mine.secret
        if mine.certificate:
            pem = mine.certificate.replace("\\n", "\n")
            _check_certificate(pem, mine.prefix)
            return {"private_key": pem, "public_certificate": pem}
        identity = self._identity(deadline)
        return {"client_assertion": lambda: identity(_EXCHANGE)["access_token"]}

    def person(self, deadline: Deadline) -> Any:
        """The msal application by which people sign in."""
        return self._confidential(self._credential(deadline), deadline)[0]

    def _application(self, credential: Any, deadline: Deadline) -> Callable[[str], Any]:
        app, http = self._confidential(credential, deadline)
        return lambda resource: http.usable(lambda: app.acquire_token_for_client([f"{resource}/.default"]))

    def _confidential(self, credential: Any, deadline: Deadline) -> tuple[Any, _Http]:
        import msal  # type: ignore[import-untyped]

        mine, tokens, http = (
            self._credentials,
            msal.TokenCache(),
            _Http(lambda answer: entra_errors.of_entra(answer, mine.prefix), deadline),
        )
        try:
            app = msal.ConfidentialClientApplication(
                mine.client_id,
                client_credential=credential,
                authority=f"{mine.authority.rstrip('/')}/{mine.tenant_id}",
                # Other clouds and private authorities are trusted because an operator set them.
                instance_discovery=False,
                http_client=http,
                token_cache=tokens,
                # Whoever signs in is known for the moment; nobody acts for them later.
                exclude_scopes=["offline_access"],
            )
        except _UNREADABLE:
            raise Misconfigured(
                "Authority and tenant id do not lead to a Microsoft Entra tenant.",
                f"Set {mine.prefix}_AUTHORITY to an https URL such as {AUTHORITY}, and {mine.prefix}_TENANT_ID to a "
                "GUID or a domain.",
            ) from None
        self._http.append(http)
        self._caches.append(tokens)
        return app, http

    def _identity(self, deadline: Deadline) -> Callable[[str], Any]:
        import msal

        if "IDENTITY_ENDPOINT" not in os.environ:
            raise Misconfigured(
                "There is no managed identity here.",
                "Switch on the function app's managed identity, or set "
                f"{self._credentials.prefix}_CLIENT_SECRET or {self._credentials.prefix}_CERTIFICATE.",
            )
        name, prefix = self._credentials.managed_identity_client_id, self._credentials.prefix
        tokens, http = msal.TokenCache(), _Http(lambda answer: entra_errors.of_identity(answer, prefix), deadline)
        client = msal.ManagedIdentityClient(
            msal.UserAssignedManagedIdentity(client_id=name) if name else msal.SystemAssignedManagedIdentity(),
            http_client=http,
            token_cache=tokens,
        )
        self._http.append(http)
        self._caches.append(tokens)
        return lambda resource: http.usable(lambda: client.acquire_token_for_client(resource=resource))


@dataclass(frozen=True, slots=True)
class _Success:
    """An answer in the shape that msal reads. It is always a success."""

    status_code: int
    text: str
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        """Nothing to raise."""


class _Http:
    """What msal sends its requests with. Any answer but a JSON object with a success status is raised as a failure."""

    def __init__(self, failure: Callable[[Response], Failure], deadline: Deadline) -> None:
        self._failure = failure
        self.deadline = deadline

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> _Success:
        """Send a GET."""
        return self._send("GET", url, params, headers, None)

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> _Success:
        """Send a POST with a form."""
        return self._send("POST", url, params, headers, data)

    def close(self) -> None:
        """Leave the session open: the whole process shares it."""

    def usable(self, acquire: Callable[[], Any]) -> Any:
        """What msal acquires, if there is a token in it."""
        try:
            result = acquire()
            if isinstance(result["access_token"], str) and int(result["expires_in"]) > 0:
                return result
        except _UNREADABLE:
            pass
        raise self._failure(Response(200, {}, b""))

    def _send(self, method: str, url: str, params: Any, headers: Any, data: Any) -> _Success:
        if params:
            url = f"{url}?{urlencode(params)}"
        answer = transport.request(method, url, deadline=self.deadline, headers=headers, data=data)
        if answer.status != 200 or not isinstance(answer.json(), dict):
            raise self._failure(answer)
        return _Success(answer.status, answer.body.decode("utf-8", "replace"), answer.headers)


def _check_certificate(pem: str, prefix: str) -> None:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
        certificate = x509.load_pem_x509_certificate(pem.encode())
        good = isinstance(key, rsa.RSAPrivateKey) and key.public_key() == certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        good = False
    if not good:
        raise Misconfigured(
            "The certificate cannot be used.",
            f"Set {prefix}_CERTIFICATE to PEM text with both -----BEGIN PRIVATE KEY----- (RSA, no passphrase) and its "
            "-----BEGIN CERTIFICATE-----.",
        )
