"""Reading bytes and rows: every shape that came, or may come, gives Fields or NotALead and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from azure.data.tables import EdmType, EntityProperty, TableEntity
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.intake import payload
from leads.intake.payload import Fields, NotALead

FIXTURES = Path(__file__).parent.parent / "fixtures"
ROWS: list[dict[str, Any]] = [
    row for path in sorted((FIXTURES / "table").glob("*.json")) for row in json.loads(path.read_text("utf-8"))
]


def texts(fields: Fields) -> dict[str, str]:
    """The known fields that came."""
    names = set(Fields.__dataclass_fields__) - {"extra", "issues", "contact_unread"}
    return {name: getattr(fields, name) for name in names if getattr(fields, name) is not None}


def body(value: object) -> bytes:
    return json.dumps(value).encode()


PERSON = {"firstName": "Some", "lastName": "One", "email": "someone@contoso.com"}
READ_PERSON = {"first_name": "Some", "last_name": "One", "email": "someone@contoso.com"}


@pytest.mark.parametrize("name", ["real_camel_case.json", "documented_pascal_case.json"])
def test_reads_the_body_that_microsoft_documents_and_the_one_that_it_sends(name: str) -> None:
    assert texts(payload.read((FIXTURES / "https" / name).read_bytes())) == {
        "first_name": "Some",
        "last_name": "One",
        "email": "someone@contoso.com",
        "phone": "16175555555",
        "country": "USA",
        "company": "Contoso",
        "title": "Esquire",
        "lead_source": "AzureMarketplace",
        "action_code": "INS",
        "offer_title": "Test Microsoft",
        "description": "Test run through Power Automate",
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_reads_every_encoding_that_json_ever_had(encoding: str) -> None:
    data = json.dumps({"userDetails": {"firstName": "Søren 日本"}}, ensure_ascii=False).encode(encoding)
    assert payload.read(data).first_name == "Søren 日本"
    assert payload.canonical(data) == b'{"userDetails":{"firstName":"S\\u00f8ren \\u65e5\\u672c"}}'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The body is empty."),
        (b" \r\n\t", "The body is empty."),
        (b"\xef\xbb\xbf", "The body is empty."),
        (b"[]", "The body is JSON, but not an object."),
        (b'"{}"', "The body is JSON, but not an object."),
        (b"null", "The body is JSON, but not an object."),
        (b"firstName=Some&lastName=One", "The body is not JSON."),
        (b'{"a": 1} {"b": 2}', "The body is not JSON."),
        (b'{"a": "\x00"}', "The body is not JSON."),
        (b"\x1f\x8b\x08\x00not unzipped", "The body is not JSON"),
        (b'{"a": "\xff"}', "The body is not JSON: its bytes are not text in UTF-8, UTF-16 or UTF-32."),
        (b'{"a": "\xed\xa0\x80"}', "The body is not JSON: its bytes are not text in UTF-8, UTF-16 or UTF-32."),
        (b"\xff\xfe{\x00}", "The body is not JSON: its bytes are not text in UTF-8, UTF-16 or UTF-32."),
        (b"[" * 100_000, "The body is not a JSON object."),
        (b"[" * 200 + b"]" * 200, "The body is not a JSON object."),
        ((FIXTURES / "https" / "test_lead_broken.txt").read_bytes(), "The body is not JSON."),
    ],
)
def test_says_why_the_bytes_are_no_lead(data: bytes, reason: str) -> None:
    with pytest.raises(NotALead) as caught:
        payload.read(data)
    assert reason in caught.value.reason
    assert str(caught.value) == caught.value.reason


def test_a_hundred_levels_are_read() -> None:
    data = b'{"a":' + b"[" * 99 + b"]" * 99 + b"}"
    assert json.dumps(payload.read(data).extra).encode() == data.replace(b":", b": ")


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b' \r\n{"email": "a@b.co", "a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        ('{"a":' * 5_000 + "1" + "}" * 5_000).encode("utf-16"),
        b'\xef\xbb\xbf{"a":' + b"[" * 120_000,
    ],
    ids=["a hundred and one levels", "10,000 levels", "beside a contact", "UTF-16", "without an end"],
)
def test_an_object_too_deep_to_be_read_is_a_lead_without_fields(data: bytes) -> None:
    fields = payload.read(data)
    assert fields == Fields(issues=("body: nested too deep to be read; see raw",), contact_unread=True)
    assert payload.canonical(data) == data


def test_an_empty_object_is_a_lead() -> None:
    assert payload.read(b"{}") == Fields()


@pytest.mark.parametrize(
    ("value", "expected", "extra", "issues"),
    [
        # keys, whatever their case, place and language
        ({"USERDETAILS": {"FIRSTNAME": "Some"}}, {"first_name": "Some"}, {}, 0),
        ({"customerInfo": {"first_name": "Some"}}, {"first_name": "Some"}, {}, 0),
        ({"First Name": "Some", "E-Mail": "a@b.co"}, {"first_name": "Some", "email": "a@b.co"}, {}, 0),
        ({"UserDetails": {"Società": "Contoso", "Paese": "IT"}}, {"company": "Contoso", "country": "IT"}, {}, 0),
        ({"UserDetails": {"Telefono": "06", "Titolo": "Dr"}}, {"phone": "06", "title": "Dr"}, {}, 0),
        ({"OfferDisplayName": "Planner", "ProductId": "a.b"}, {"offer_title": "Planner", "offer_id": "a.b"}, {}, 0),
        ({"userDetails": {"leadSource": "SPZA"}}, {"lead_source": "SPZA"}, {}, 0),
        ({"ＥＭＡＩＬ": "a@b.co"}, {"email": "a@b.co"}, {}, 0),
        # unknown keys stay, with their case and their values
        ({"PlanId": "gold", "n": None, "o": {"p": [1, 2.5, True]}}, {}, None, 0),
        ({"userDetails": {"linkedIn": "x"}}, {}, {"linkedIn": "x"}, 0),
        ({"": 1, "!": 2}, {}, {"": 1, "!": 2}, 0),
        # emptiness is nothing
        ({"userDetails": None, "leadSource": "", "actionCode": "  "}, {}, {}, 0),
        ({"userDetails": {"firstName": None, "email": ""}}, {}, {}, 0),
        # numbers become text, other values are kept and told
        ({"phone": 390669812345}, {"phone": "390669812345"}, {}, 0),
        ({"phone": 390669812345.0}, {"phone": "390669812345"}, {}, 0),
        ({"offerTitle": 3.5}, {"offer_title": "3.5"}, {}, 0),
        ({"phone": True}, {}, {"phone": True}, 1),
        ({"email": ["a@b.co"]}, {}, {"email": ["a@b.co"]}, 1),
        ({"email": {"a": "b"}}, {}, {"email": {"a": "b"}}, 1),
        ({"description": {"mktcmpid": "1"}}, {"description": '{"mktcmpid": "1"}'}, {}, 0),
        ({"description": ["x"]}, {}, {"description": ["x"]}, 1),
        # two of a kind: the first that is not empty counts, none is lost
        ({"email": "", "Email": "a@b.co"}, {"email": "a@b.co"}, {}, 0),
        ({"email": "a@b.co", "Email": "c@d.co"}, {"email": "a@b.co"}, {"Email": "c@d.co"}, 1),
        ({"email": "a@b.co", "Email": "a@b.co "}, {"email": "a@b.co"}, {}, 0),
        # the customer's title inside, something else's outside
        ({"title": "Planner", "userDetails": {"title": "CTO"}}, {"title": "CTO"}, {"title": "Planner"}, 1),
        # a contact in the wrong place
        ({"userDetails": "nobody"}, {}, {"userDetails": "nobody"}, 1),
        ({"userDetails": [PERSON]}, {}, {"userDetails": [PERSON]}, 1),
        ({"userDetails": 7}, {}, {"userDetails": 7}, 1),
        ({"CustomerInfo": json.dumps(PERSON)}, READ_PERSON, {}, 0),
        ({"CustomerInfo": json.dumps(json.dumps(PERSON))}, READ_PERSON, {}, 0),
    ],
)
def test_fields(value: dict[str, Any], expected: dict[str, str], extra: dict[str, Any] | None, issues: int) -> None:
    fields = payload.read(body(value))
    assert texts(fields) == expected
    assert fields.extra == (value if extra is None else extra)
    assert len(fields.issues) == issues


@pytest.mark.parametrize(
    ("data", "extra"),
    [
        (b'{"a": 1, "a": 2, "a": 3}', {"a": 1, "a (2)": 2, "a (3)": 3}),
        (b'{"a (2)": 0, "a": 1, "a": 2}', {"a (2)": 0, "a": 1, "a (3)": 2}),
        (b'{"o": {"a": 1, "a": 2}}', {"o": {"a": 1, "a (2)": 2}}),
        (b'{"a": NaN, "b": -Infinity, "c": 1e999}', {"a": "NaN", "b": "-Infinity", "c": "1e999"}),
        (b'{"a": 1' + b"0" * 5000 + b"}", {"a": "1" + "0" * 5000}),
        (b'{"a": "\\ud800 \\u0000"}', {"a": "\ud800 \0"}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{"a": 9007199254740993}', {"a": 9007199254740993}),
    ],
)
def test_odd_json_is_kept(data: bytes, extra: dict[str, Any]) -> None:
    assert payload.read(data).extra == extra


def test_an_issue_quotes_nothing() -> None:
    fields = payload.read(body({"email": ["secret@b.co"], "Email": "x", "EMAIL": "y", "CustomerInfo": "secret"}))
    assert len(fields.issues) == 3
    assert "secret" not in " ".join(fields.issues)


@pytest.mark.parametrize(
    "data",
    [
        b"{" + b",".join(b'"a": 1' for _ in range(20_000)) + b"}",
        b"{" + b",".join(b'"a (%d)": 1' % n for n in range(9_000)) + b"," + b",".join([b'"a": 1'] * 9_000) + b"}",
        b'{"CustomerInfo": "' + b'\\"a\\":\\"' * 20_000 + b'"}',
        b'{"a": [' + b"[]," * 80_000 + b"[]]}",
        b'{"' + b"\xc3\xa9" * 120_000 + b'": 1}',
        b'{"' + "\u0301\u0316".encode() * 60_000 + b'": 1}',
    ],
    ids=["repeated", "repeated and taken", "broken contact", "wide", "long key", "stacked marks"],
)
def test_hostile_bodies_of_256_kib_take_no_time(data: bytes) -> None:
    started = time.monotonic()
    payload.read(data)
    payload.canonical(data)
    assert time.monotonic() - started < 3


# --- rows ---


def test_a_row_reads_like_a_body() -> None:
    fields = payload.read_row(ROWS[[row["RowKey"] for row in ROWS].index("b")])
    assert texts(fields)["phone"] == "+39 06 698 12345"
    assert fields.lead_source == "AzurePortal-Create|checkpoint.check-point-r77-10sg-byol"
    assert fields.extra == {}  # the keys of the table are no fields of the lead


@pytest.mark.parametrize(
    ("customer", "expected", "unread"),
    [
        ("", {}, False),
        ("  ", {}, False),
        (None, {}, False),
        ("null", {}, False),
        ("{}", {}, False),
        (json.dumps(PERSON), READ_PERSON, False),
        ("\ufeff" + json.dumps(PERSON), READ_PERSON, False),
        (json.dumps(json.dumps(json.dumps(PERSON))), READ_PERSON, False),
        (json.dumps(PERSON)[:-1], READ_PERSON, True),
        (json.dumps(PERSON)[:-5], {"first_name": "Some", "last_name": "One"}, True),
        (json.dumps(PERSON).replace(",", " "), READ_PERSON, True),
        ('{"firstName": "So\nme"}', {"first_name": "So\nme"}, False),
        ('{"firstName": "\\u00e9", "x": ', {"first_name": "é"}, True),
        ('{"firstName": "\\q", "x": ', {"first_name": "\\q"}, True),
        (json.dumps(json.dumps(json.dumps(json.dumps(json.dumps(PERSON))))), {}, True),
        ("[]", {}, True),
        ("17", {}, True),
        ("no JSON", {}, True),
        (17, {}, True),
        ('{"a":' * 10_000, {}, True),
    ],
)
def test_customer_info(customer: object, expected: dict[str, str], unread: bool) -> None:
    fields = payload.read_row({"PartitionKey": "1", "RowKey": "2", "CustomerInfo": customer})
    assert texts(fields) == expected
    assert fields.contact_unread is unread
    assert bool(fields.extra.get("CustomerInfo")) is unread  # nothing unread is lost


def test_a_row_keeps_types_and_digits() -> None:
    row = {
        "Text": "é",
        "Flag": True,
        "Int32": -7,
        "Int64": EntityProperty(5, EdmType.INT64),
        "Large": 9007199254740993,
        "Larger": 2**70,
        "Double": 1.0,
        "NoNumber": float("nan"),
        "When": datetime(2026, 11, 3, 16, 5, 6, 123456, tzinfo=UTC),
        "Bytes": b"\x00\xff",
        "Guid": UUID("0a8f1c52-6a4e-4d0b-9a51-2f6f4f1b7e10"),
        "Typed": EntityProperty("0a8f1c52-6a4e-4d0b-9a51-2f6f4f1b7e10", "Edm.Guid"),
        "Nothing": None,
        "Half": "\ud800",
    }
    assert json.loads(payload.row_bytes(row)) == {
        "Text": "é",
        "Flag": True,
        "Int32": -7,
        "Int64": "5",
        "Int64@odata.type": "Edm.Int64",
        "Large": "9007199254740993",
        "Large@odata.type": "Edm.Int64",
        "Larger": hex(2**70),
        "Double": 1.0,
        "NoNumber": "nan",
        "NoNumber@odata.type": "Edm.Double",
        "When": "2026-11-03T16:05:06.123456+00:00",
        "When@odata.type": "Edm.DateTime",
        "Bytes": "AP8=",
        "Bytes@odata.type": "Edm.Binary",
        "Guid": "0a8f1c52-6a4e-4d0b-9a51-2f6f4f1b7e10",
        "Guid@odata.type": "Edm.Guid",
        "Typed": "0a8f1c52-6a4e-4d0b-9a51-2f6f4f1b7e10",
        "Typed@odata.type": "Edm.Guid",
        "Nothing": None,
        "Half": "\ud800",
    }
    extra = payload.read_row(row).extra
    assert extra["Large"] == 9007199254740993
    assert extra["Int64"] == 5
    assert not any(key.endswith("@odata.type") for key in extra)


def test_a_number_as_phone_in_a_row_is_text() -> None:
    assert payload.read_row({"Phone": 16175555555}).phone == "16175555555"


def test_a_time_of_the_service_keeps_its_seventh_digit() -> None:
    class Moment(datetime):
        tables_service_value = "2026-11-03T16:05:06.1234567Z"

    moment = Moment(2026, 11, 3, 16, 5, 6, 123456)
    assert payload.read_row({"Timestamp": moment}).timestamp == "2026-11-03T16:05:06.1234567Z"
    assert payload.read_row({"CreatedTime": moment}).created_time == "2026-11-03T16:05:06.1234567Z"
    assert payload.read_row({"CreatedTime": EntityProperty(moment, EdmType.DATETIME)}).created_time is not None
    assert payload.read_row(TableEntity(PartitionKey="1", RowKey="2")) == Fields()


def test_the_raw_of_a_row_does_not_depend_on_the_order_of_its_columns() -> None:
    for row in ROWS:
        assert payload.row_bytes(row) == payload.row_bytes(dict(reversed(row.items())))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff"])
def test_bytes_that_are_no_row(data: bytes) -> None:
    with pytest.raises(NotALead):
        payload.read_row_bytes(data)


# --- the content for the event hash ---


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a": 1, "b": {"c": 2, "d": 3}}', b'{"b":{"d":3,"c":2},\r\n"a":1}'),
        (b'{"a": "\\u00e9\\/"}', '{"a": "é/"}'.encode()),
        (b'{"a": "\\ud83d\\ude00"}', '{"a": "😀"}'.encode("utf-16")),
        (b'\xef\xbb\xbf{"a": 1.5}', b' {"a": 1.5} '),
    ],
)
def test_equal_content(one: bytes, other: bytes) -> None:
    assert payload.canonical(one) == payload.canonical(other)


@pytest.mark.parametrize(
    "bodies",
    [
        [b'{"a": 1}', b'{"a": 1.0}', b'{"a": true}', b'{"a": "1"}', b'{"a": [1]}', b'{"A": 1}', b'{"a": 1e0}'],
        [b'{"a": 1, "a": 2}', b'{"a": 2}', b'{"a": 2, "a": 2}', b'{"a": 2, "a": 1}'],
        [b'{"a": NaN}', b'{"a": "NaN"}', b'{"a": null}', b'{"a": Infinity}'],
        [b'{"a": 1e999}', b'{"a": 1e998}', b'{"a": 0.1}', b'{"a": 0.10000000000000000001}'],
        [b'{"a": 9007199254740993}', b'{"a": 9007199254740992}', b'{"a": 9007199254740993.0}'],
        [b'{"a": -0}', b'{"a": 0}'],
        [b'{"a": "\\ud800"}', b'{"a": "\\ufffd"}', b'{"a": "\\ud801"}'],
        [b'{"a": "\xff"}', b'{"a": "\xfe"}', b"", b" ", b"[", b"[" * 100_000],
        [b'{"a": 1' + b"0" * 5000 + b"}", b'{"a": 2' + b"0" * 5000 + b"}"],
    ],
)
def test_different_content(bodies: list[bytes]) -> None:
    assert len({payload.canonical(body) for body in bodies}) == len(bodies)


# --- anything at all ---

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()), max_size=20)
)
KEYS = st.sampled_from(["userDetails", "CustomerInfo", "email", "Email", "phone", "title", "description"]) | st.text(
    max_size=8
)
JSON = st.recursive(SCALARS, lambda of: st.lists(of, max_size=4) | st.dictionaries(KEYS, of, max_size=6), max_leaves=20)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=8)
COLUMNS = (
    SCALARS
    | st.binary(max_size=20)
    | st.datetimes()
    | st.uuids()
    | st.floats()
    | OBJECTS.map(json.dumps)
    | st.integers(-(2**63), 2**63 - 1).map(lambda n: EntityProperty(n, EdmType.INT64))
)
unhurried = settings(deadline=None)
"""Two cores are shared by many tests."""
ROWS_OF_ANYTHING = st.dictionaries(KEYS | st.just("Timestamp") | st.just("CreatedTime"), COLUMNS, max_size=8)


@unhurried
@given(OBJECTS)
def test_any_json_object_is_read(value: dict[str, Any]) -> None:
    fields = payload.read(body(value))
    assert fields == payload.read(body(value))
    json.dumps(fields.extra, allow_nan=False)


@unhurried
@given(OBJECTS)
def test_nothing_of_a_json_object_is_lost(value: dict[str, Any]) -> None:
    fields = payload.read(body(value))
    kept = json.dumps([texts(fields), fields.extra], ensure_ascii=False)
    for key, child in value.items():
        if isinstance(child, str) and child.strip() and key.casefold() not in {"userdetails", "customerinfo"}:
            assert json.dumps(child.strip(), ensure_ascii=False)[1:-1] in kept


@unhurried
@given(OBJECTS, st.randoms(use_true_random=False))
def test_key_order_does_not_change_the_content(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    one, other = body(value), json.dumps(dict(items), ensure_ascii=True, indent=1).encode("utf-8-sig")
    assert payload.canonical(one) == payload.canonical(other)
    assert json.loads(payload.canonical(one)) == value


@unhurried
@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert isinstance(payload.canonical(data), bytes)
    try:
        payload.read(data)
    except NotALead as error:
        assert error.reason.endswith(".")  # noqa: PT017
    try:
        payload.read_row_bytes(data)
    except NotALead as error:
        assert error.reason.endswith(".")  # noqa: PT017


@unhurried
@given(ROWS_OF_ANYTHING)
def test_any_row_is_read_and_read_back_alike(row: Mapping[str, object]) -> None:
    raw = payload.row_bytes(row)
    assert payload.read_row(row) == payload.read_row_bytes(raw)
    assert raw == payload.row_bytes(dict(reversed(list(row.items()))))
    raw.decode("ascii")
