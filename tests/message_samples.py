"""Leads for every kind of message, and values that are up to no good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from leads.lead import Contact, Lead, Stage, Via
from leads.messages import languages
from leads.messages.notification import Voice

NOW = datetime(2026, 9, 28, 12, 3, tzinfo=UTC)
VOICE = Voice(languages.load("en"), ZoneInfo("Europe/Rome"))

_LEAD = Lead(
    via=Via.HTTPS,
    arrived_at=NOW - timedelta(minutes=11),
    created_at=NOW - timedelta(minutes=12),
    id="9f86d081884c7d65-1b4f0e9851971998",
    source="SPZA",
    action="PLT",
    offer="contoso.invoice-flow",
    offer_title="Contoso Invoice Flow",
    stage=Stage.ACTIVE,
    contact=Contact(
        "Ada", "Rossi", "ada.rossi@example.com", "+390669812345", "IT", "Fabrikam S.p.A.", "Head of Finance"
    ),
    message="We have 12 offices in Italy.\nCan you show us how approvals work?",
    campaign={"mktcmpid": "spring-2026", "utm_source": "newsletter"},
)
_QUIET = replace(_LEAD, message="", campaign={})
_TEST = "MSFT_TEST_636573304831318844"

SAMPLES = {
    "contact_me": _LEAD,
    "get_it_now": replace(_QUIET, source="AzureMarketplace", action="INS", stage=Stage.INITIAL_INTEREST),
    "create": replace(_QUIET, source="AzurePortal", action="Create"),
    "test_drive": replace(_QUIET, source="TestDrive", action="StartTestDrive", stage=Stage.TRIAL),
    "interest": replace(_QUIET, action="NEW1", stage=Stage.INITIAL_INTEREST),
    "trial": replace(_QUIET, action="NEW2", stage=Stage.TRIAL),
    "active": replace(_QUIET, action="NEW3", stage=Stage.ACTIVE),
    "unknown": replace(_QUIET, source="Elsewhere", action="NEW4", stage=Stage.UNKNOWN),
    "do_not_contact": replace(_QUIET, action="DNC", stage=Stage.DO_NOT_CONTACT, do_not_contact=True),
    "test": replace(
        _QUIET,
        source="AzureMarketplace",
        action="INS",
        offer="",
        offer_title="Contoso Test",
        is_test=True,
        contact=Contact(_TEST, _TEST, f"{_TEST}@test.com", "1234567890", "US", _TEST, _TEST),
        message=_TEST,
    ),
    "withheld": replace(_QUIET, contact=Contact(country="US"), contact_withheld=True),
    "third_step": _LEAD,
}
"""A lead for every key of the wording's `deed`, and for the two messages that are special in another way."""

HOSTILE = (
    "Ada\r\nBcc: victim@example.net\r\n\r\n<b>second mail</b>\r\n.\r\nMAIL FROM:<x@y.z>",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "\"><a href='javascript:alert(1)'>click</a>",
    "=?utf-8?q?=0D=0ABcc:_victim=40example.net?=",
    "=?utf-8?b?DQpCY2M6IHZpY3RpbUBleGFtcGxlLm5ldA==?=",
    '<at>General</at> <at id="0">everyone</at>',
    "[press here](https://evil.example) ![x](https://evil.example/x.png)",
    "**bold** _it_ `code` # title\n- item\n> quote",
    "{{ 7 * 7 }} {% raw %} ${7*7} #{7*7} @{triggerBody()} {0} %s",
    "{{DATE(2017-02-14T06:00:00Z, SHORT)}}",
    "moc.live\u202e gpj.exe \u2066x\u2069 \u200b\u200f",
    "\x00\x1b[31m\x07\x85\u2028\u2029\ud800\ufffe\U000e0041",
    "a\u0301" + "\u0301" * 500,
    "x" * 10_000,
    "\u202e" * 10_000,
    "mailto:a@b.c?bcc=victim@example.net&body=x",
    "ada@example.com?bcc=victim@example.net",
    "a@b.c, victim@example.net",
    "+39 06; ext=<script>",
    '"quoted" \\ <a@b.c>, (comment)',
    "https://evil.example/login",
)


def sample(kind: str) -> Lead:
    """The lead of that kind."""
    return SAMPLES[kind]


def earlier(kind: str) -> list[Lead]:
    """What the customer did before, for the kinds that have a history."""
    if kind != "third_step":
        return []
    first = replace(SAMPLES["get_it_now"], id="9f86d081884c7d65-0000000000000001", created_at=NOW - timedelta(days=3))
    second = replace(SAMPLES["test_drive"], id="9f86d081884c7d65-0000000000000002", created_at=NOW - timedelta(days=1))
    return [first, second]


def hostile_lead(value: str) -> Lead:
    """A lead with `value` in every field that comes from outside."""
    return replace(
        _LEAD,
        source=value,
        action=value,
        offer=value,
        offer_title=value,
        stage=Stage.ACTIVE,
        contact=Contact(value, value, value, value, value, value, value),
        message=value,
        campaign={value: value},
        extra={value: value},
        issues=(f"{value}: not understood", "phone: no phone number"),
    )
