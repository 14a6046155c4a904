"""The stand-in for Entra refuses as Entra does. What msal makes of it is in tests/test_oauth.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from dev.certificate import app_credential
from dev.standins.dynamics import StandIn
from dev.standins.entra import EXCHANGE

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("standin")) as standin:
        yield standin


@pytest.fixture
def crm(running: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    running.reset()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", running.ca_file)
    return running


def ask(crm: StandIn, tenant: str = "", **changes: str) -> tuple[int, str, int]:
    """HTTP status, OAuth error and AADSTS number of a token request."""
    form = {
        "grant_type": "client_credentials",
        "client_id": crm.client_id,
        "client_secret": crm.client_secret,
        "scope": f"{crm.url}/.default",
    }
    url = f"{crm.authority}/{tenant or crm.tenant_id}/oauth2/v2.0/token"
    answer = requests.post(url, form | changes, timeout=5)
    body = answer.json()
    return answer.status_code, body.get("error", ""), (body.get("error_codes") or [0])[0]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, (200, "", 0)),
        ({"tenant": "99999999-9999-4999-8999-999999999999"}, (400, "invalid_tenant", 90002)),
        ({"tenant": "example.com"}, (400, "invalid_tenant", 90002)),
        ({"tenant": "nonsense"}, (400, "invalid_request", 900023)),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", 70003)),
        ({"client_id": "nonsense"}, (400, "unauthorized_client", 700016)),
        ({"client_secret": ""}, (401, "invalid_client", 7000215)),
        ({"client_secret": "nonsense"}, (401, "invalid_client", 7000215)),
        ({"client_secret": "old"}, (401, "invalid_client", 7000222)),
        ({"scope": "https://other.example/.default"}, (400, "invalid_resource", 500011)),
        ({"scope": "nonsense"}, (400, "invalid_scope", 70011)),
        ({"client_assertion_type": ASSERTION, "client_assertion": "nonsense"}, (401, "invalid_client", 50027)),
    ],
)
def test_refusals(crm: StandIn, changes: dict[str, str], refusal: tuple[int, str, int]) -> None:
    """reference-error-codes.md."""
    crm.registration.expired_secrets.add("old")
    assert ask(crm, **changes) == refusal


@pytest.mark.parametrize(
    ("path", "status"),
    [("{tenant}/v2.0/.well-known/openid-configuration", 200), ("nonsense", 404), ("msi/token", 401)],
)
def test_other_paths(crm: StandIn, path: str, status: int) -> None:
    assert requests.get(f"{crm.url}/{path.format(tenant=crm.tenant_id)}", timeout=5).status_code == status


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({}, 0),
        ({"aud": "https://elsewhere.example"}, 700027),
        ({"sub": "somebody else"}, 700027),
        ({"exp": 1}, 700027),
        ({"iss": "somebody else"}, 70021),
    ],
)
def test_assertions_by_certificate(crm: StandIn, change: dict[str, Any], number: int) -> None:
    """active-directory-certificate-credentials: aud is the token endpoint, iss and sub the client id, PS256."""
    private, public = app_credential()
    crm.registration.add_certificate(public)
    (thumbprint,) = crm.registration.certificates
    claims = {
        "aud": f"{crm.authority}/{crm.tenant_id}/oauth2/v2.0/token",
        "iss": crm.client_id,
        "sub": crm.client_id,
        "exp": int(time.time()) + 600,
        **change,
    }
    key = private.partition("-----BEGIN CERTIFICATE-----")[0]
    signed = jwt.encode(claims, key, algorithm="PS256", headers={"x5t#S256": thumbprint})
    assert ask(crm, client_assertion_type=ASSERTION, client_assertion=signed)[2] == number
    other = rsa.generate_private_key(65537, 2048)
    forged = jwt.encode(claims, other, algorithm="PS256", headers={"x5t#S256": thumbprint})
    assert ask(crm, client_assertion_type=ASSERTION, client_assertion=forged)[2] == (number or 700027)


def test_federated_assertions_are_checked(crm: StandIn) -> None:
    """workload-identity-federation: issuer, subject and audience have to fit, and the signature to be the issuer's."""
    identity = crm.add_identity()
    crm.entra.federate(crm.registration, identity)
    headers = {"X-IDENTITY-HEADER": crm.entra.identity_header}
    query = {"api-version": "2019-08-01", "resource": EXCHANGE, "client_id": identity.client_id}
    answer = requests.get(f"{crm.url}/msi/token", params=query, headers=headers, timeout=5).json()
    real = answer["access_token"]
    assert ask(crm, client_assertion_type=ASSERTION, client_assertion=real) == (200, "", 0)
    claims = jwt.decode(real, options={"verify_signature": False})
    forged = jwt.encode(claims, rsa.generate_private_key(65537, 2048), algorithm="RS256")
    assert ask(crm, client_assertion_type=ASSERTION, client_assertion=forged)[2] == 50013
    crm.registration.federated.clear()
    assert ask(crm, client_assertion_type=ASSERTION, client_assertion=real)[2] == 70021


def test_the_identity_endpoint_gives_its_expiry_as_text(crm: StandIn) -> None:
    """overview-managed-identity: expires_on is a string of seconds since 1970."""
    crm.add_identity(system_assigned=True)
    headers = {"X-IDENTITY-HEADER": crm.entra.identity_header}
    answer = requests.get(f"{crm.url}/msi/token", params={"resource": crm.url}, headers=headers, timeout=5)
    assert int(answer.json()["expires_on"]) > time.time()
    query = {"resource": crm.url, "client_id": "nonsense"}
    assert requests.get(f"{crm.url}/msi/token", params=query, headers=headers, timeout=5).status_code == 400
