from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import cycle
from pathlib import Path
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.destinations import email
from leads.errors import Transient
from leads.lead import Lead, Stage
from leads.messages import digest, languages, templating
from leads.messages.digest import Digest, bounds, compose
from leads.sweep import digest as daily
from leads.sweep.digest import due
from tests.message_samples import HOSTILE, SAMPLES, hostile_lead, sample
from tests.messages.test_notification import ALLOWED, Page, same

ROME = ZoneInfo("Europe/Rome")
ENGLISH = languages.load("en")
DAY = date(2026, 9, 28)
YESTERDAY = date(2026, 9, 27)


def at(hour: int, minute: int = 0, day: date = DAY, zone: ZoneInfo = ROME) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)


def rendered(composed: Digest, template: str) -> str:
    return templating.render(template, **{item.name: getattr(composed, item.name) for item in fields(composed)})


@pytest.mark.parametrize(
    ("last_sent", "now", "expected"),
    [
        (None, at(6, 59), None),
        (None, at(7), YESTERDAY),
        (None, at(23, 59), YESTERDAY),
        (at(7), at(7, 5), None),
        (at(9, day=DAY + timedelta(days=400)), at(7, 5), YESTERDAY),
        (at(7), at(23, 59), None),
        (at(7, day=YESTERDAY), at(6, 59), None),
        (at(7, day=YESTERDAY), at(7), YESTERDAY),
        (at(23, day=YESTERDAY), at(7), YESTERDAY),
        (at(7, day=DAY - timedelta(days=9)), at(12), YESTERDAY),
    ],
)
def test_when_it_is_due(last_sent: datetime | None, now: datetime, expected: date | None) -> None:
    assert due(last_sent, now, ROME) == expected


@hypothesis.settings(deadline=None)
@given(
    start=st.integers(0, 24 * 60 * 700).map(
        lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    zone=st.sampled_from(["Europe/Rome", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia", "Africa/Cairo"]),
)
def test_a_sweep_every_hour_sends_each_day_once(start: datetime, zone: str) -> None:
    sent: datetime | None = None
    days = []
    for hour in range(24 * 5):
        now = start + timedelta(hours=hour)
        day = due(sent, now, ZoneInfo(zone))
        if day:
            days.append(day)
            sent = now
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))]
    assert len(days) in (5, 6)


def test_the_days_of_a_year_touch_and_do_not_overlap() -> None:
    day, (_, end) = date(2026, 1, 1), bounds(date(2025, 12, 31), ROME)
    lengths = set()
    for _ in range(365):
        begin, next_end = bounds(day, ROME)
        assert begin.astimezone(UTC) == end.astimezone(UTC)
        lengths.add((next_end.astimezone(UTC) - begin.astimezone(UTC)) // timedelta(hours=1))
        day, end = day + timedelta(days=1), next_end
    assert lengths == {23, 24, 25}


def test_an_empty_day_and_a_day_of_tests_make_no_digest() -> None:
    assert compose([], DAY, ROME, ENGLISH) is None
    assert compose([sample("test")], DAY, ROME, ENGLISH) is None
    assert compose([sample("create")], YESTERDAY, ROME, ENGLISH) is None


def test_only_the_local_day_counts() -> None:
    leads = [replace(sample("create"), arrived_at=moment) for moment in (*bounds(DAY, ROME), at(23, 59))]
    composed = compose(leads, DAY, ROME, ENGLISH)
    assert composed
    assert [row.clock for group in composed.groups for row in group.rows] == ["00:00", "23:59"]
    east = compose(leads, DAY + timedelta(days=1), timezone(timedelta(hours=14)), ENGLISH)
    assert east
    assert east.groups[0].total == 2


def many() -> list[Lead]:
    people = zip(
        ("Ada Rossi", "Bo Ek", "Inês Sá", "Олег Ким", "Jo Lee", "Max Weiß"),
        ("Fabrikam", "Tailspin AB", "Lamna", "Вега", "", "Trey GmbH"),
        strict=True,
    )
    leads = []
    for number, (kind, (name, company)) in enumerate(zip(sorted(SAMPLES), cycle(people), strict=False)):
        lead = replace(sample(kind), arrived_at=at(8 + number), id=f"{number % 6:016x}-{number:016x}")
        if not (lead.is_test or lead.contact_withheld):
            lead = replace(lead, contact=replace(lead.contact, first_name=name, last_name="", company=company))
        leads.append(replace(lead, offer_title="Contoso Approvals") if number % 3 == 0 else lead)
    return [*leads, replace(sample("create"), offer="", offer_title="", arrived_at=at(23))]


@pytest.mark.parametrize("code", languages.codes())
def test_golden(code: str) -> None:
    composed = compose(many(), DAY, ROME, languages.load(code))
    assert composed
    same(f"{code}/digest.txt", f"{composed.subject}\n\n{rendered(composed, 'digest.txt')}\n")
    if code == "en":
        same("en/digest.html", rendered(composed, "digest.html") + "\n")


def test_groups_are_by_offer_then_stage_with_the_keenest_first() -> None:
    composed = compose(reversed(many()), DAY, ROME, ENGLISH)
    assert composed
    order = [(group.offer, group.stage) for group in composed.groups]
    assert order[0] == ("Contoso Approvals", "Active")
    assert order[-1] == ("No offer named", "Active")
    assert len(order) == len(set(order))
    stages = [stage for offer, stage in order if offer == "Contoso Invoice Flow"]
    assert stages == [s for s in ("Active", "Trial", "Initial interest", "Unknown", "Do not contact") if s in stages]


def test_a_long_day_is_listed_in_part_and_counted_whole() -> None:
    leads = [replace(sample("create"), arrived_at=at(9), id=f"{n:016x}-{n:016x}") for n in range(digest.ROW_LIMIT + 50)]
    leads.append(replace(sample("get_it_now"), arrived_at=at(10), id="f-f"))
    composed = compose(leads, DAY, ROME, ENGLISH)
    assert composed
    assert composed.notes == ("Not listed here: 51",)
    assert [(group.total, len(group.rows)) for group in composed.groups] == [
        (digest.ROW_LIMIT + 50, digest.ROW_LIMIT),
        (1, 0),
    ]
    assert str(digest.ROW_LIMIT + 51) in composed.subject
    assert len(rendered(composed, "digest.html").encode()) < 100_000


def test_a_long_day_lists_the_keenest_wherever_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "ROW_LIMIT", 2)
    early = [replace(sample("unknown"), arrived_at=at(8, minute)) for minute in range(5)]
    composed = compose([*early, replace(sample("contact_me"), arrived_at=at(22))], DAY, ROME, ENGLISH)
    assert composed
    assert [(group.stage, group.total, [row.clock for row in group.rows]) for group in composed.groups] == [
        ("Active", 1, ["22:00"]),
        ("Unknown", 5, ["08:00"]),
    ]
    assert composed.notes == ("Not listed here: 4",)


def test_invented_offers_make_no_digest_that_outlasts_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the key in Partner Center can name any; the host kills a sweep after five minutes."""
    asked: list[str] = []

    def line(text: str, limit: int) -> str:
        asked.append(text)
        return text[:limit]

    monkeypatch.setattr(digest, "line", line)
    leads = [replace(many()[0], id=str(number), offer_title=f"Offer {number}", offer="") for number in range(300)]
    composed = compose(leads, DAY, ROME, languages.load("en"))
    assert composed
    assert len(asked) < 10 * len(leads)
    assert len(composed.groups) == digest.ROW_LIMIT
    assert sum(len(group.rows) for group in composed.groups) == digest.ROW_LIMIT


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_become_no_markup(value: str) -> None:
    composed = compose([replace(hostile_lead(value), arrived_at=at(9))], DAY, ROME, ENGLISH)
    assert composed
    page = Page()
    page.feed(rendered(composed, "digest.html"))
    assert set(page.tags) <= ALLOWED
    assert page.links == []
    assert "\u202e" not in rendered(composed, "digest.txt")


def test_every_stage_has_its_place() -> None:
    assert set(digest._ORDER) == set(Stage)


def test_a_digest_leads_to_the_page_of_all_leads() -> None:
    link = "https://contoso.azurewebsites.net/api/page/leads"
    composed = digest.compose([sample("create")], sample("create").arrived_at.date(), UTC, languages.load("en"), link)
    assert composed is not None
    assert f"Open the page: {link}" in rendered(composed, "digest.txt")
    assert f'href="{link}"' in rendered(composed, "digest.html")


def test_golden_folders_are_those_of_the_languages() -> None:
    folders = {path.name for path in (Path(__file__).parent.parent / "golden").iterdir() if path.is_dir()}
    assert folders == set(languages.codes())


class Sent:
    def __init__(self) -> None:
        self.calls: list[tuple[list[Lead], date]] = []

    def __call__(self, leads: Sequence[Lead], day: date, *_: object) -> bool:
        self.calls.append((list(leads), day))
        return bool(leads)


ENVIRON = {
    "LEADS_DESTINATIONS": "dynamics,email",
    "EMAIL_TO": "ada@contoso.com",
    "EMAIL_FROM": "leads@contoso.com",
    "EMAIL_SMTP_URL": "smtp://localhost",
    "EMAIL_DIGEST": "daily",
    "EMAIL_DIGEST_TIME_ZONE": "Europe/Rome",
}


def test_run_asks_for_the_leads_of_yesterday_and_sends_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, asked = Sent(), []
    monkeypatch.setattr(email, "send_digest", sent)

    def leads_between(begin: datetime, end: datetime, _: int) -> tuple[list[Lead], list[str]]:
        asked.append((begin, end))
        return [sample("create")], []

    assert not daily.run("email", ENVIRON, None, at(6), leads_between)
    assert not asked
    assert daily.run("email", ENVIRON, None, at(7), leads_between)
    assert asked == [(at(0, day=YESTERDAY), at(0))]
    assert sent.calls == [([sample("create")], YESTERDAY)]
    assert not daily.run("email", ENVIRON, at(7), at(8), leads_between)


@pytest.mark.parametrize(
    "change",
    [
        {"EMAIL_DIGEST": ""},
        {"EMAIL_DIGEST": "hourly"},
        {"EMAIL_TO": ""},
    ],
)
def test_run_does_nothing_where_nothing_is_asked_for_or_a_setting_is_wrong(
    change: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(email, "send_digest", Sent())
    assert not daily.run("email", ENVIRON | change, None, at(12), lambda *_: ([sample("create")], []))


def test_a_mail_that_cannot_be_sent_is_told_to_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise Transient("It is not working.")

    monkeypatch.setattr(email, "send_digest", fail)
    with pytest.raises(Transient):
        daily.run("email", ENVIRON, None, at(12), lambda *_: ([], []))
