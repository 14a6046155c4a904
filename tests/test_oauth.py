"""Tokens from the stand-in for Entra, by real msal over real TLS."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jwt
import pytest
from azure.core.credentials import TokenCredential
from azure.core.exceptions import ClientAuthenticationError
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dev.certificate import app_credential
from dev.standins.dynamics import StandIn
from dev.standins.entra import error_body
from leads import entra_errors, oauth
from leads.errors import Failure, Misconfigured, Throttled, Transient
from leads.oauth import Credentials, ManagedIdentityCredential, token
from leads.transport import Deadline, Response

TOKEN = r"oauth2/v2\.0/token"
DISCOVERY = "openid-configuration"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("standin")) as standin:
        yield standin


@pytest.fixture
def crm(running: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    running.reset()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", running.ca_file)
    monkeypatch.delenv("IDENTITY_ENDPOINT", raising=False)
    monkeypatch.delenv("IDENTITY_HEADER", raising=False)
    oauth._client.cache_clear()
    return running


@pytest.fixture(scope="module")
def certificate() -> tuple[str, str]:
    return app_credential()


def with_secret(crm: StandIn, **changes: Any) -> Credentials:
    return replace(
        Credentials(crm.tenant_id, crm.client_id, crm.client_secret, authority=crm.authority, prefix="DYNAMICS"),
        **changes,
    )


def soon() -> Deadline:
    return Deadline.after(10)


def paths(crm: StandIn) -> list[str]:
    return [call.path.rpartition("/")[2] for call in crm.calls]


def test_a_secret_gets_a_token_for_the_resource(crm: StandIn) -> None:
    got = token(with_secret(crm), crm.url, deadline=soon())
    holder = crm.entra.holder(got)
    assert holder is not None
    assert (holder.client_id, holder.resource) == (crm.client_id, crm.url)
    form = crm.calls[-1].form()
    assert form["scope"] == f"{crm.url}/.default"
    assert form["grant_type"] == "client_credentials"


def test_a_token_is_used_again_without_the_network(crm: StandIn) -> None:
    mine = with_secret(crm)
    first = token(mine, crm.url, deadline=soon())
    assert all(token(mine, crm.url, deadline=soon()) == first for _ in range(5))
    assert paths(crm) == ["openid-configuration", "token"]


def test_equal_credentials_share_their_token(crm: StandIn) -> None:
    assert token(with_secret(crm), crm.url, deadline=soon()) == token(with_secret(crm), crm.url, deadline=soon())
    assert paths(crm) == ["openid-configuration", "token"]


def test_fresh_gets_a_new_token_without_asking_for_the_tenant_again(crm: StandIn) -> None:
    mine = with_secret(crm)
    first = token(mine, crm.url, deadline=soon())
    second = token(mine, crm.url, deadline=soon(), fresh=True)
    assert second != first
    assert token(mine, crm.url, deadline=soon()) == second
    assert paths(crm) == ["openid-configuration", "token", "token"]


def test_a_token_about_to_expire_is_renewed(crm: StandIn) -> None:
    crm.entra.token_seconds = 200
    mine = with_secret(crm)
    assert token(mine, crm.url, deadline=soon()) != token(mine, crm.url, deadline=soon())


def test_many_callers_at_once_make_one_request(crm: StandIn) -> None:
    mine, got = with_secret(crm), list[str]()
    threads = [threading.Thread(target=lambda: got.append(token(mine, crm.url, deadline=soon()))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 16
    assert len(set(got)) == 1
    assert paths(crm) == ["openid-configuration", "token"]


@pytest.mark.parametrize("written_with", ["\n", "\\n"])
def test_a_certificate_signs_in_with_its_sha256_thumbprint(
    crm: StandIn, certificate: tuple[str, str], written_with: str
) -> None:
    pem, public = certificate
    crm.registration.add_certificate(public)
    token(with_secret(crm, secret="", certificate=pem.replace("\n", written_with)), crm.url, deadline=soon())
    header = jwt.get_unverified_header(crm.calls[-1].form()["client_assertion"])
    assert header["alg"] == "PS256"
    assert header["x5t#S256"]
    assert "x5t" not in header


def test_a_certificate_that_is_not_registered_is_explained(crm: StandIn, certificate: tuple[str, str]) -> None:
    with pytest.raises(Misconfigured, match=r"certificate is not registered.*AADSTS700027"):
        token(with_secret(crm, secret="", certificate=certificate[0]), crm.url, deadline=soon())


def test_a_certificate_that_cannot_be_used_is_explained_without_the_network(
    crm: StandIn, certificate: tuple[str, str]
) -> None:
    pem, public = certificate
    other = app_credential()[1]
    private = pem.replace(public, "")
    for bad in ("nonsense", public, private, private + other, pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")):
        with pytest.raises(Misconfigured, match="certificate cannot be used"):
            token(with_secret(crm, secret="", certificate=bad), crm.url, deadline=soon())
    assert crm.calls == []


@pytest.mark.parametrize("system_assigned", [True, False])
def test_a_managed_identity_gets_a_token(
    crm: StandIn, monkeypatch: pytest.MonkeyPatch, *, system_assigned: bool
) -> None:
    identity = crm.add_identity(system_assigned=system_assigned)
    set_environ(monkeypatch, crm)
    name = "" if system_assigned else identity.client_id
    holder = crm.entra.holder(token(Credentials(managed_identity_client_id=name), crm.url, deadline=soon()))
    assert holder is not None
    assert (holder.client_id, holder.resource) == (identity.client_id, crm.url)
    assert crm.calls[-1].query.get("client_id", "") == name
    assert "/.default" not in crm.calls[-1].query["resource"]


def test_a_managed_identity_signs_in_as_an_app_of_another_tenant(crm: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = crm.add_identity(member=False)
    crm.entra.federate(crm.registration, identity)
    set_environ(monkeypatch, crm)
    mine = Credentials(
        crm.tenant_id,
        crm.client_id,
        authority=crm.authority,
        managed_identity_client_id=identity.client_id,
        federated=True,
    )
    holder = crm.entra.holder(token(mine, crm.url, deadline=soon()))
    assert holder is not None
    assert holder.client_id == crm.client_id
    claims = jwt.decode(crm.calls[-1].form()["client_assertion"], options={"verify_signature": False})
    assert claims["aud"] == "api://AzureADTokenExchange"
    assert claims["iss"] == f"{crm.authority}/{crm.entra.home_tenant}/v2.0"
    assert crm.tenant_id != crm.entra.home_tenant
    assert "client_secret" not in crm.calls[-1].form()


def test_a_missing_federated_credential_is_explained(crm: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    crm.add_identity(system_assigned=True)
    set_environ(monkeypatch, crm)
    mine = Credentials(crm.tenant_id, crm.client_id, authority=crm.authority, federated=True)
    with pytest.raises(Misconfigured, match=r"federated credential.*AADSTS70021") as failure:
        token(mine, crm.url, deadline=soon())
    assert "issuer" in failure.value.remedy


def test_a_failing_identity_endpoint_fails_the_federated_sign_in(crm: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environ(monkeypatch, crm)
    mine = Credentials(crm.tenant_id, crm.client_id, authority=crm.authority, federated=True)
    with pytest.raises(Misconfigured, match="managed identity got no token"):
        token(mine, crm.url, deadline=soon())
    crm.add_identity(system_assigned=True)
    crm.fail(500, path="/msi/")
    with pytest.raises(Transient, match="managed identity endpoint is not working"):
        token(mine, crm.url, deadline=soon())


def test_without_a_managed_identity_the_remedy_names_the_ways_out(crm: StandIn) -> None:
    with pytest.raises(Misconfigured, match="no managed identity here") as failure:
        token(Credentials(prefix="DYNAMICS"), crm.url, deadline=soon())
    assert "DYNAMICS_CLIENT_SECRET" in failure.value.remedy


@pytest.mark.parametrize(
    ("changes", "number", "cause", "remedy"),
    [
        ({"tenant_id": "99999999-9999-4999-8999-999999999999"}, 90002, "tenant was not found", "cloud"),
        ({"tenant_id": "nonsense"}, 900023, "tenant id is malformed", "GUID"),
        (
            {"client_id": "99999999-9999-4999-8999-999999999999"},
            700016,
            "application was not found",
            "DYNAMICS_CLIENT_ID",
        ),
        ({"secret": "wrong"}, 7000215, "client secret is wrong", "not its Secret ID"),
        ({"secret": "old"}, 7000222, "client secret has expired", "new one"),
    ],
)
def test_a_refused_sign_in_is_explained(
    crm: StandIn, changes: dict[str, str], number: int, cause: str, remedy: str
) -> None:
    crm.registration.expired_secrets.add("old")
    with pytest.raises(Misconfigured, match=rf"{cause}.*AADSTS{number}\b") as failure:
        token(with_secret(crm, **changes), crm.url, deadline=soon())
    assert remedy in failure.value.remedy
    assert "wrong" not in failure.value.remedy + repr(failure.value.__cause__)


def test_an_unknown_resource_is_explained(crm: StandIn) -> None:
    with pytest.raises(Misconfigured, match=r"unknown to the tenant.*AADSTS500011"):
        token(with_secret(crm), "https://other.crm.dynamics.com", deadline=soon())


def test_a_disabled_application_is_explained(crm: StandIn) -> None:
    crm.registration.disabled = True
    with pytest.raises(Misconfigured, match=r"disabled.*AADSTS7000112"):
        token(with_secret(crm), crm.url, deadline=soon())


def test_an_unknown_number_is_told_with_the_words_of_entra_but_no_address(crm: StandIn) -> None:
    body = error_body("unauthorized_client", 530099, "Blocked for ada@example.com by a policy.")
    crm.fail(400, path=TOKEN, body=body)
    with pytest.raises(Misconfigured, match=r"AADSTS530099.*Blocked for …@… by a policy") as failure:
        token(with_secret(crm), crm.url, deadline=soon())
    assert "login.microsoftonline.com/error" in failure.value.remedy


@pytest.mark.parametrize("path", [TOKEN, DISCOVERY])
def test_throttling_tells_how_long_to_wait(crm: StandIn, path: str) -> None:
    crm.fail(429, path=path, headers={"Retry-After": "17"})
    with pytest.raises(Throttled) as failure:
        token(with_secret(crm), crm.url, deadline=soon())
    assert failure.value.retry_after == 17


@pytest.mark.parametrize("path", [TOKEN, DISCOVERY])
@pytest.mark.parametrize("status", [500, 503, 504, 408, 302, 200])
def test_an_entra_out_of_order_is_transient(crm: StandIn, path: str, status: int) -> None:
    crm.fail(status, path=path, html="<html>Bad gateway</html>")
    with pytest.raises(Transient):
        token(with_secret(crm), crm.url, deadline=soon())
    assert token(with_secret(crm), crm.url, deadline=soon())


@pytest.mark.parametrize("number", [90055, 90006, 90012, 90024, 90033, 90090])
def test_the_numbers_that_pass_are_transient(crm: StandIn, number: int) -> None:
    crm.fail(400, path=TOKEN, body=error_body("invalid_request", number, "Try later."))
    with pytest.raises(Transient):
        token(with_secret(crm), crm.url, deadline=soon())


def test_a_broken_connection_and_a_hanging_server_are_transient(crm: StandIn) -> None:
    crm.fail(close=True, path=DISCOVERY)
    with pytest.raises(Transient, match="broke the connection"):
        token(with_secret(crm), crm.url, deadline=soon())
    crm.fail(hang=True, path=TOKEN)
    with pytest.raises(Transient, match="did not answer in time"):
        token(with_secret(crm), crm.url, deadline=Deadline.after(0.5))


def test_waiting_for_another_sign_in_is_bounded_too(crm: StandIn) -> None:
    hanging, seen = threading.Event(), list[str]()
    crm.fail(hang=True, path=TOKEN, before=hanging.set)

    def first() -> None:
        with contextlib.suppress(Transient):
            token(with_secret(crm), crm.url, deadline=soon())
        seen.append("first is over")

    thread = threading.Thread(target=first)
    thread.start()
    assert hanging.wait(5)
    with pytest.raises(Transient):
        token(with_secret(crm), crm.url, deadline=Deadline.after(0.1))
    assert seen == []
    crm.reset()
    thread.join(5)
    assert seen


def test_an_attempt_out_of_time_sends_nothing(crm: StandIn) -> None:
    with pytest.raises(Transient):
        token(with_secret(crm), crm.url, deadline=Deadline.after(-1))
    assert crm.calls == []


@pytest.mark.parametrize("status", [400, 401, 429, 503])
def test_every_attempt_really_asks_despite_msals_memory_of_failures(crm: StandIn, status: int) -> None:
    mine = with_secret(crm)
    crm.fail(status, path=TOKEN, times=3, body=error_body("invalid_client", 7000215, "No."))
    for asked in (1, 2, 3):
        with pytest.raises(Failure):
            token(mine, crm.url, deadline=soon())
        assert paths(crm).count("token") == asked
    assert token(mine, crm.url, deadline=soon())


def test_a_mended_registration_works_at_once(crm: StandIn) -> None:
    crm.registration.secrets.clear()
    with pytest.raises(Misconfigured):
        token(with_secret(crm), crm.url, deadline=soon())
    crm.registration.secrets.add(crm.client_secret)
    assert token(with_secret(crm), crm.url, deadline=soon())


@pytest.mark.parametrize("authority", ["http://localhost", "nonsense", "https://"])
def test_an_authority_that_is_none_is_misconfigured(crm: StandIn, authority: str) -> None:
    with pytest.raises(Failure) as failure:
        token(with_secret(crm, authority=authority), crm.url, deadline=soon())
    assert isinstance(failure.value, (Misconfigured, Transient))


def test_missing_ids_are_misconfigured(crm: StandIn) -> None:
    for name in ("tenant_id", "client_id"):
        with pytest.raises(Misconfigured, match="lacks the tenant id or the client id"):
            token(with_secret(crm, **{name: ""}), crm.url, deadline=soon())


def test_no_secret_and_no_token_gets_into_the_log(
    crm: StandIn, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "msal", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name)
    crm.registration.add_certificate(certificate[1])
    identity = crm.add_identity(system_assigned=True)
    crm.entra.federate(crm.registration, identity)
    set_environ(monkeypatch, crm)
    ways = [
        with_secret(crm),
        with_secret(crm, secret="", certificate=certificate[0]),
        with_secret(crm, secret="", federated=True),
        Credentials(),
    ]
    hidden = [token(way, crm.url, deadline=soon()) for way in ways] + [crm.client_secret]
    hidden += [call.form()["client_assertion"] for call in crm.calls if b"client_assertion=" in call.body]
    assert len(hidden) == 7
    crm.fail(400, path=TOKEN, body=error_body("invalid_client", 7000215, "No."))
    with pytest.raises(Misconfigured):
        token(ways[0], crm.url, deadline=soon(), fresh=True)
    assert caplog.records
    assert not [secret for secret in hidden if secret in caplog.text]


def test_importing_it_costs_no_http_library() -> None:
    code = (
        "import sys, leads.oauth; print(sorted({'msal', 'requests', 'azure.core', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_credentials_show_no_secret() -> None:
    shown = repr(Credentials("t", "c", "hush", "-----BEGIN PRIVATE KEY-----"))
    assert "hush" not in shown
    assert "PRIVATE KEY" not in shown


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
fields = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        [
            "access_token",
            "expires_in",
            "expires_on",
            "refresh_in",
            "token_type",
            "scope",
            "id_token",
            "error",
            "error_description",
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
        ],
        json_values,
    ),
)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(where=st.sampled_from([TOKEN, DISCOVERY, "/msi/"]), status=st.sampled_from([200, 400, 401]), body=fields)
def test_whatever_is_answered_there_is_a_token_or_a_failure(
    crm: StandIn, monkeypatch: pytest.MonkeyPatch, where: str, status: int, body: dict[str, object]
) -> None:
    crm.reset()
    crm.add_identity(system_assigned=True)
    set_environ(monkeypatch, crm)
    oauth._client.cache_clear()
    crm.fail(status, path=where, body=body)
    mine = Credentials() if where == "/msi/" else with_secret(crm)
    with contextlib.suppress(Failure):
        assert token(mine, crm.url, deadline=soon())


@given(status=st.integers(200, 599), body=st.binary(max_size=300), wait=st.text(max_size=12))
def test_any_answer_is_explained(status: int, body: bytes, wait: str) -> None:
    for explain in (entra_errors.of_entra, entra_errors.of_identity):
        failure = explain(Response(status, {"retry-after": wait}, body), "DYNAMICS")
        assert failure.cause
        assert failure.remedy


def test_the_azure_sdk_gets_the_token_of_the_managed_identity(crm: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = crm.add_identity(system_assigned=True)
    set_environ(monkeypatch, crm)
    credential: TokenCredential = ManagedIdentityCredential()
    first = credential.get_token("https://storage.azure.com/.default")
    claims = jwt.decode(first.token, options={"verify_signature": False})
    assert claims["sub"] == identity.object_id
    assert claims["aud"] == "https://storage.azure.com"
    assert abs(first.expires_on - claims["exp"]) <= 2
    assert crm.calls[-1].query["resource"] == "https://storage.azure.com"
    assert credential.get_token("https://storage.azure.com/.default", enable_cae=True).token == first.token
    challenge = base64.b64encode(json.dumps({"access_token": {}}).encode()).decode()
    assert credential.get_token("https://storage.azure.com/.default", claims=challenge).token != first.token


def test_the_azure_sdk_gets_its_own_kind_of_error(crm: StandIn) -> None:
    with pytest.raises(ClientAuthenticationError, match="no managed identity here"):
        ManagedIdentityCredential("some-client-id").get_token("https://storage.azure.com/.default")
    assert crm.calls == []


def set_environ(monkeypatch: pytest.MonkeyPatch, crm: StandIn) -> None:
    for name, value in crm.identity_environ().items():
        monkeypatch.setenv(name, value)
