"""Whatever an API answers, a delivery ends: with the record's id, or with a failure that says what to do."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from leads import transport
from leads.contract import Step
from leads.destinations import hubspot, marketo, salesforce
from leads.destinations.marketo import api
from leads.destinations.salesforce import api as salesforce_api
from leads.destinations.salesforce import fields as salesforce_fields
from leads.errors import Failure
from leads.reader import Reader
from leads.transport import Deadline, Response
from tests.destinations.dynamics_leads import JOHN, NOW, lead

HUBSPOT = {
    "HUBSPOT_TOKEN": "pat-eu1-0123456789",
    "HUBSPOT_KEY": "mark",
    "HUBSPOT_OPT_OUT": "true",
    "HUBSPOT_FIELDS": '{"city": "Turin"}',
}
MARKETO = {
    "MARKETO_MUNCHKIN_ID": "123-ABC-456",
    "MARKETO_CLIENT_ID": "0f1e2d3c",
    "MARKETO_CLIENT_SECRET": "c0nfidential",
    "MARKETO_ACTIVITY_TYPE_ID": "7",
}
SALESFORCE = {
    "SALESFORCE_URL": "https://contoso.my.salesforce.com",
    "SALESFORCE_CLIENT_ID": "0f1e2d3c",
    "SALESFORCE_CLIENT_SECRET": "c0nfidential",
    "SALESFORCE_FIELDS": '{"City": "Turin"}',
}
NAMES = st.sampled_from(
    [
        *("id", "properties", "results", "associations", "notes", "paging", "next", "link", "mark", "hs_note_body"),
        *("errors", "category", "code", "context", "propertyName", "message", "correlationId", "policyName"),
        *("success", "result", "status", "reasons", "nextPageToken", "moreResult", "access_token", "expires_in"),
        *("records", "errorCode", "Id", "IsDeleted", "MasterRecordId", "IsConverted", "ConvertedContactId", "WhoId"),
        *("LastModifiedDate", "Description", "Rating", "Country", "MarketplaceLeadKey__c", "error"),
        *("primaryAttributeValue", "name", "options", "attributes", "fields", "apiName", "type", "hasUniqueValue"),
    ]
)
WORDS = st.sampled_from(
    [
        *(
            "7",
            "101",
            "created",
            "updated",
            "skipped",
            "added",
            "approved",
            "email",
            "city",
            "mark",
            "1004",
            "1005",
            "1006",
        ),
        *("DUPLICATE_VALUE", "INVALID_FIELD", "STRING_TOO_LONG", "NOT_FOUND", "ENTITY_IS_DELETED", "LastName", "City"),
        *("00Q000000000001", "003000000000001AAA", "No such column 'Rating' on entity 'Lead'", "2026-11-03T16:06:06Z"),
        *("PROPERTY_DOESNT_EXIST", "CONFLICTING_UNIQUE_VALUE", "OBJECT_NOT_FOUND", "Existing ID: 9", "601", "606", ""),
        *("https://x.example/crm/y?after=1", "Field 'title' not found", JOHN.email, lead().id, "\ud800", "x" * 400),
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 100_005), st.just(float("nan")), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
BODIES = st.one_of(
    st.binary(max_size=20), st.dictionaries(NAMES, VALUES, max_size=6).map(lambda one: json.dumps(one).encode())
)
GOOD = st.sampled_from(
    [
        {"id": "101", "properties": {}},
        {"results": [{"id": "101", "properties": {}}]},
        {"id": "101", "associations": {"notes": {"results": [{"id": "5"}]}}},
        {"access_token": "x", "expires_in": 3599},
        {"success": True, "result": [{"id": 7, "status": "created"}]},
        {"success": True, "result": [{"status": "skipped", "reasons": [{"code": "1005"}]}]},
        {"records": [{"Id": "00Q000000000001", "IsDeleted": False, "IsConverted": False}]},
        {"records": [{"Id": "00Q000000000002", "IsDeleted": True, "MasterRecordId": "00Q000000000001"}]},
        {"records": [{"Id": "00Q000000000003", "IsConverted": True, "ConvertedContactId": "003000000000001"}]},
        {"records": []},
        {"id": "00Q000000000001", "success": True},
        [{"errorCode": "INVALID_FIELD", "message": "", "fields": ["City", "Phone"]}],
        [{"errorCode": "DUPLICATE_VALUE", "message": "", "fields": []}],
        [{"errorCode": "STRING_TOO_LONG", "message": "data value too large: x (max length=3)", "fields": ["LastName"]}],
        {"success": True, "nextPageToken": "x", "moreResult": True, "result": []},
    ]
).map(lambda one: json.dumps(one).encode())
ANSWERS = st.lists(
    st.builds(
        Response,
        st.sampled_from(
            [200, 200, 201, 201, 204, 207, 300, 302, 400, 400, 401, 403, 404, 409, 423, 429, 477, 500, 503]
        ),
        st.sampled_from([{}, {"retry-after": "7"}]),
        st.one_of(BODIES, GOOD),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize(("module", "environ"), [(hubspot, HUBSPOT), (marketo, MARKETO), (salesforce, SALESFORCE)])
@how(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    answers=ANSWERS,
    remote_id=st.sampled_from(["", "", "101", "101/note", "101/opt-out", "101/activity", "00Q000000000001/task"]),
    uncertain=st.booleans(),
    action=st.sampled_from(["PLT", "DNC"]),
)
def test_any_answer_ends_in_an_id_or_in_a_failure(
    module: Any, environ: dict[str, str], answers: list[Response], remote_id: str, uncertain: bool, action: str
) -> None:
    api._tokens.clear()
    salesforce_api._tokens.clear()
    salesforce_fields._absent.clear()
    settings = module.Settings.read(Reader(environ, module.SETTINGS))
    ticks = iter(range(1000))
    deadline = Deadline(40, lambda: next(ticks))
    given_answers = iter(answers)

    def request(_: str, url: str, **__: Any) -> Response:
        assert "jsmith" not in url, "no e-mail address is in any URL"
        deadline.remaining()
        if url.endswith("/services/oauth2/token"):
            return Response(200, {}, b'{"access_token": "x"}')
        return next(given_answers, answers[-1])

    with patch.object(transport, "request", request):
        step = Step(now=NOW, deadline=deadline, remote_id=remote_id, uncertain=uncertain)
        failure = None
        try:
            record = module.send(lead(action), step, settings)
        except Failure as error:
            failure = error
        if failure is None:
            assert record.isdecimal() or module is salesforce
        else:
            assert failure.cause.endswith((".", ")"))
            assert failure.remedy
            for part in ("jsmith", "John", "Smith", "c0nfidential", "pat-eu1"):
                assert part not in failure.cause + failure.remedy
        for found in module.check(settings, Deadline(40, lambda: next(ticks))):
            assert found.name
