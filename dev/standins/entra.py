"""A stand-in for Microsoft Entra: discovery, app tokens, people who sign in, and App Service's identity endpoint.

Error numbers and texts follow entra-docs `reference-error-codes.md`; HTTP status and OAuth error of each are what
Entra is known to send with them. Tokens are opaque: nobody but the issuer's own resources may read a token.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from dev.standins.server import Answer, Request

EXCHANGE = "api://AzureADTokenExchange"
STORAGE = "https://storage.azure.com"
"""Azurite reads the tokens for it: issuer and audience, no signature."""
IDENTITY_PATH = "/msi/token"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Registration:
    """An app registration with its credentials."""

    client_id: str
    secrets: set[str] = field(default_factory=set)
    expired_secrets: set[str] = field(default_factory=set)
    certificates: dict[str, Any] = field(default_factory=dict)
    federated: set[tuple[str, str]] = field(default_factory=set)
    """Issuer and subject of each federated credential."""
    disabled: bool = False
    redirect_uris: set[str] = field(default_factory=set)

    def add_certificate(self, pem: str) -> None:
        """Register a certificate as the portal does, found again by its SHA-256 thumbprint."""
        certificate = x509.load_pem_x509_certificate(pem.encode())
        thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
        self.certificates[thumbprint] = certificate.public_key()


@dataclass(frozen=True)
class Identity:
    """A managed identity of the function app; `client_id` is empty in requests for the system-assigned one."""

    client_id: str
    object_id: str
    system_assigned: bool = False


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in."""

    object_id: str
    username: str
    tenant_id: str


@dataclass(frozen=True)
class Code:
    """What an authorization code stands for."""

    person: Person
    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str
    expires_at: float


@dataclass(frozen=True)
class Token:
    """What an access token stands for."""

    client_id: str
    resource: str
    expires_at: float


class Refused(Exception):
    """An OAuth error with its AADSTS number."""

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(text)
        self.answer = Answer(status, error_body(error, number, text))


def error_body(error: str, number: int, text: str) -> dict[str, Any]:
    """The body of an OAuth error as Entra sends it."""
    trace, correlation, now = str(uuid.uuid4()), str(uuid.uuid4()), time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    return {
        "error": error,
        "error_description": f"AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}",
        "error_codes": [number],
        "timestamp": now,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={number}",
    }


class Entra:
    """One authority with two tenants: that of Dynamics, and that in which the function app lives."""

    def __init__(self, authority: str, clock: Callable[[], float] = time.time) -> None:
        self.authority = authority
        self.clock = clock
        self.tenants = {"11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"}
        self.home_tenant = "22222222-2222-4222-8222-222222222222"
        self.registrations: dict[str, Registration] = {}
        self.identities: list[Identity] = []
        self.identity_header = secrets.token_hex(16)
        self.resources: set[str] = set()
        self.tokens: dict[str, Token] = {}
        self.token_seconds = 3599
        self.issued = 0
        self.person: Person | None = None
        """Who sits at the browser; nobody presses Cancel."""
        self.codes: dict[str, Code] = {}
        self.redeemed: set[str] = set()
        self.claims: dict[str, Any] = {}
        """Claims that an ID token has instead of the right ones."""

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        """What the tokens for exchange are signed with."""
        return rsa.generate_private_key(65537, 2048)

    def answer(self, request: Request) -> Answer:
        """Answer a request to the authority or to the managed identity endpoint."""
        if request.path == IDENTITY_PATH:
            return self._identity_token(request)
        match = re.fullmatch(
            r"/([^/]+)/(v2\.0/\.well-known/openid-configuration|oauth2/v2\.0/(?:token|authorize))", request.path
        )
        if not match:
            return Answer(404, "<html><body>404 - not found</body></html>")
        try:
            tenant = self._tenant(match[1])
            if match[2].endswith("authorize"):
                return self._authorize(request.query)
            return self._discovery(tenant) if match[2].startswith("v2.0") else self._token(tenant, request)
        except Refused as refused:
            return refused.answer

    def holder(self, bearer: str) -> Token | None:
        """What a bearer token stands for, or None where it is unknown, revoked or expired."""
        token = self.tokens.get(bearer)
        return token if token and token.expires_at > self.clock() else None

    def federate(self, registration: Registration, identity: Identity) -> None:
        """Let the managed identity of the home tenant sign in as the app registration."""
        registration.federated.add((f"{self.authority}/{self.home_tenant}/v2.0", identity.object_id))

    def _tenant(self, name: str) -> str:
        if not re.fullmatch(r"[0-9a-fA-F-]{36}|(?=.*\.)[\w.-]+", name):
            raise Refused(
                400,
                "invalid_request",
                900023,
                f"Specified tenant identifier '{name}' is neither a valid DNS name, nor a valid external domain.",
            )
        if name.lower() not in self.tenants:
            raise Refused(
                400,
                "invalid_tenant",
                90002,
                f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into "
                "the correct cloud. Check with your subscription administrator, this may happen if there are no "
                "active subscriptions for the tenant.",
            )
        return name.lower()

    def _discovery(self, tenant: str) -> Answer:
        base = f"{self.authority}/{tenant}"
        return Answer(
            200,
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            },
        )

    def _token(self, tenant: str, request: Request) -> Answer:
        form = request.form()
        if form.get("grant_type") not in ("client_credentials", "authorization_code"):
            raise Refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        client_id = form.get("client_id", "")
        registration = self.registrations.get(client_id)
        if registration is None:
            raise Refused(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can "
                "happen if the application has not been installed by the administrator of the tenant or consented to "
                "by any user in the tenant. You may have sent your authentication request to the wrong tenant.",
            )
        if registration.disabled:
            raise Refused(400, "unauthorized_client", 7000112, f"Application '{client_id}' is disabled.")
        self._authenticate(registration, tenant, form)
        if form["grant_type"] == "authorization_code":
            return self._redeem(form)
        scope = form.get("scope", "")
        if not scope.endswith("/.default"):
            raise Refused(400, "invalid_scope", 70011, f"The provided value for scope {scope} is not valid.")
        resource = scope.removesuffix("/.default").rstrip("/")
        if resource not in self.resources:
            raise Refused(
                400,
                "invalid_resource",
                500011,
                f"The resource principal named {resource} was not found in the tenant named {tenant}.",
            )
        token = self._issue(client_id, resource)
        seconds = self.token_seconds
        return Answer(
            200, {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}
        )

    def _authorize(self, query: Mapping[str, str]) -> Answer:
        """Send the browser back at once (learn.microsoft.com, v2-oauth2-auth-code-flow)."""
        registration = self.registrations.get(query.get("client_id", ""))
        back = query.get("redirect_uri", "")
        if registration is None or back not in registration.redirect_uris or query.get("response_type") != "code":
            # Entra shows this itself, and sends nobody to an address that is not registered.
            return Answer(400, "AADSTS50011: The redirect URI specified in the request does not match.")
        if self.person is None:
            returned = {"error": "access_denied", "error_description": "AADSTS65004: User declined to consent."}
            return Answer(
                302, headers={"Location": f"{back}?{urlencode(returned | {'state': query.get('state', '')})}"}
            )
        code = secrets.token_urlsafe(40)
        self.codes[code] = Code(
            self.person,
            registration.client_id,
            back,
            query.get("code_challenge", "") if query.get("code_challenge_method") == "S256" else "",
            query.get("nonce", ""),
            self.clock() + 600,
        )
        returned = {"code": code, "state": query.get("state", ""), "session_state": str(uuid.uuid4())}
        return Answer(302, headers={"Location": f"{back}?{urlencode(returned)}"})

    def _redeem(self, form: Mapping[str, str]) -> Answer:
        """An ID token for a code, once."""
        code = self.codes.get(form.get("code", ""))
        if code is None:
            raise Refused(400, "invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.")
        if form["code"] in self.redeemed:
            raise Refused(400, "invalid_grant", 54005, "OAuth2 Authorization code was already redeemed.")
        self.redeemed.add(form["code"])
        if code.expires_at <= self.clock():
            raise Refused(400, "invalid_grant", 70008, "The provided authorization code has expired.")
        if (code.client_id, code.redirect_uri) != (form.get("client_id"), form.get("redirect_uri")):
            raise Refused(400, "invalid_grant", 700005, "The authorization code was issued to another application.")
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if code.challenge != base64.urlsafe_b64encode(verifier).rstrip(b"=").decode():
            raise Refused(400, "invalid_grant", 501481, "The Code_Verifier does not match the code_challenge.")
        now = int(self.clock())
        claims = {
            "iss": f"{self.authority}/{code.person.tenant_id}/v2.0",
            "aud": code.client_id,
            "tid": code.person.tenant_id,
            "oid": code.person.object_id,
            "preferred_username": code.person.username,
            "sub": hashlib.sha256(code.person.object_id.encode()).hexdigest(),
            "nonce": code.nonce,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
        }
        token = jwt.encode(claims | self.claims, self._key, algorithm="RS256")
        access = self._issue(code.client_id, "https://graph.microsoft.com")
        return Answer(
            200,
            {
                "token_type": "Bearer",
                "scope": "openid profile",
                "expires_in": self.token_seconds,
                "access_token": access,
                "id_token": token,
            },
        )

    def _authenticate(self, registration: Registration, tenant: str, form: dict[str, str]) -> None:
        if form.get("client_assertion_type") == _ASSERTION_TYPE:
            self._check_assertion(registration, tenant, form.get("client_assertion", ""))
            return
        secret = form.get("client_secret", "")
        if secret in registration.expired_secrets:
            raise Refused(
                401,
                "invalid_client",
                7000222,
                f"The provided client secret keys for app '{registration.client_id}' are expired. Visit the Azure "
                "portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using "
                "certificate credentials for added security: https://aka.ms/certCreds.",
            )
        if not secret or secret not in registration.secrets:
            raise Refused(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{registration.client_id}'.",
            )

    def _check_assertion(self, registration: Registration, tenant: str, assertion: str) -> None:
        """Check a signed assertion: made with a registered certificate, or a federated identity's own token."""
        try:
            header = jwt.get_unverified_header(assertion)
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError:
            raise Refused(401, "invalid_client", 50027, "JWT token is invalid or malformed.") from None
        if claims.get("iss") == registration.client_id:
            self._check_signature(registration, tenant, assertion, str(header.get("x5t#S256", "")))
        elif (claims.get("iss"), claims.get("sub")) not in registration.federated:
            raise Refused(
                401, "invalid_client", 70021, "No matching federated identity record found for presented assertion."
            )
        else:
            try:
                jwt.decode(assertion, self._key.public_key(), algorithms=["RS256"], audience=EXCHANGE)
            except jwt.PyJWTError:
                raise Refused(401, "invalid_client", 50013, "Assertion failed signature validation.") from None

    def _check_signature(self, registration: Registration, tenant: str, assertion: str, thumbprint: str) -> None:
        """Check that the assertion is for this token endpoint and was signed with the certificate it names."""
        key = registration.certificates.get(thumbprint.rstrip("="))
        audience = f"{self.authority}/{tenant}/oauth2/v2.0/token"
        try:
            if key is None:
                raise jwt.InvalidKeyError
            checked = jwt.decode(assertion, key, algorithms=["PS256"], audience=audience)
            if checked["sub"] != registration.client_id:
                raise jwt.InvalidTokenError
        except jwt.PyJWTError:
            raise Refused(
                401,
                "invalid_client",
                700027,
                "The certificate with identifier used to sign the client assertion is not registered on application.",
            ) from None

    def _identity_token(self, request: Request) -> Answer:
        """Answer as the App Service endpoint does (learn.microsoft.com, app-service/overview-managed-identity)."""
        if request.headers.get("x-identity-header") != self.identity_header:
            return Answer(401, {"statusCode": 401, "message": "Unauthorized"})
        client_id, resource = request.query.get("client_id", ""), request.query.get("resource", "")
        identity = next(
            (one for one in self.identities if (one.client_id == client_id if client_id else one.system_assigned)), None
        )
        if identity is None:
            return Answer(400, {"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity found."})
        expires_on = int(self.clock()) + 86399
        if resource == EXCHANGE:
            token = self._signed(identity, f"{self.authority}/{self.home_tenant}/v2.0", EXCHANGE, expires_on)
        elif resource == STORAGE:
            token = self._signed(identity, f"https://sts.windows.net/{self.home_tenant}/", STORAGE, expires_on)
            self.tokens[token] = Token(identity.client_id, STORAGE, expires_on)
        else:
            token = self._issue(identity.client_id, resource.rstrip("/"), expires_on)
        return Answer(
            200,
            {
                "access_token": token,
                "expires_on": str(expires_on),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": identity.client_id,
            },
        )

    def _signed(self, identity: Identity, issuer: str, audience: str, expires_on: int) -> str:
        claims = {
            "iss": issuer,
            "sub": identity.object_id,
            "aud": audience,
            "iat": int(self.clock()),
            "nbf": int(self.clock()),
            "exp": expires_on,
            "uti": secrets.token_urlsafe(16),
        }
        return jwt.encode(claims, self._key, algorithm="RS256")

    def _issue(self, client_id: str, resource: str, expires_at: float = 0) -> str:
        self.issued += 1
        token = hashlib.sha256(f"{secrets.token_hex()}{self.issued}".encode()).hexdigest()
        self.tokens[token] = Token(client_id, resource, expires_at or self.clock() + self.token_seconds)
        return token
