"""What messages say: golden files for each thing a customer can do in each language, and what hostile values become.

`GOLDEN=write` in the environment writes the files anew, to be read and committed.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.contract import Link, Step
from leads.destinations.slack import blocks as _slack_blocks
from leads.destinations.teams import card as _teams_card
from leads.lead import Contact, Mark, Stage
from leads.messages import alert, languages, templating
from leads.messages.message import Message, Tone
from leads.messages.notification import EARLIER_LIMIT, MESSAGE_LIMIT, compose, deed, of_step
from leads.operate.page import web
from leads.sweep import alerts
from leads.sweep.alerts import PAGES
from leads.transport import Deadline
from tests import alert_samples
from tests.message_samples import HOSTILE, NOW, SAMPLES, VOICE, earlier, hostile_lead, sample

GOLDEN = Path(__file__).parent.parent / "golden"
SWEEP = Path(alerts.__file__).parent
KINDS = sorted(SAMPLES)
ALERTS = alert_samples.samples()


def rendered(message: Message, template: str) -> str:
    return templating.render(template, **{item.name: getattr(message, item.name) for item in fields(message)})


def same(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8")


def message_of(kind: str, code: str = "en") -> Message:
    lead, voice = sample(kind), replace(VOICE, language=languages.load(code))
    records = (Link("Dynamics 365", f"https://crm.example/{lead.customer}"),)
    return compose(lead, earlier(kind), NOW, voice, records=records)


@pytest.mark.parametrize("code", languages.codes())
@pytest.mark.parametrize("kind", KINDS)
def test_golden_text(kind: str, code: str) -> None:
    message = message_of(kind, code)
    same(f"{code}/{kind}.txt", f"{message.subject}\n\n{rendered(message, 'message.txt')}\n")


@pytest.mark.parametrize("kind", KINDS)
def test_golden_html(kind: str) -> None:
    same(f"en/{kind}.html", rendered(message_of(kind), "message.html") + "\n")


@pytest.mark.parametrize("kind", KINDS)
def test_golden_card(kind: str) -> None:
    card = json.loads(_teams_card.envelope(message_of(kind), "cut"))
    same(f"en/{kind}.json", json.dumps(card, indent=1, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("code", languages.codes())
@pytest.mark.parametrize("kind", ALERTS)
def test_golden_alerts(kind: str, code: str) -> None:
    message = alert.compose(ALERTS[kind], replace(VOICE, language=languages.load(code)))
    same(f"{code}/alert_{kind}.txt", f"{message.subject}\n\n{rendered(message, 'message.txt')}\n")


def test_golden_alert_as_html_and_as_a_card() -> None:
    message = alert.compose(ALERTS["dead"], VOICE)
    same("en/alert_dead.html", rendered(message, "message.html") + "\n")
    same("en/alert_dead.json", json.dumps(json.loads(_teams_card.envelope(message, "cut")), indent=1) + "\n")


def test_an_alert_of_a_kind_unknown_here_is_told_all_the_same() -> None:
    message = alert.compose(replace(ALERTS["dead"], kind="new", command=""), VOICE)
    assert message.headline == "Dynamics 365 needs attention"
    assert ALERTS["dead"].remedy in rendered(message, "message.txt")


def test_every_kind_of_alert_has_words_and_a_page_of_its_own() -> None:
    assert set(alert_samples.KINDS) == set(PAGES)
    assert all(languages.load("en").has(f"alert.{kind}.title") for kind in PAGES)
    made = {node.value for path in SWEEP.glob("*.py") for node in kinds_in(path)}
    assert {"quarantine", "flood"} <= made <= set(PAGES)


def kinds_in(path: Path) -> Iterator[ast.Constant]:
    """The kinds that a module gives to its alerts."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Alert":
            given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "kind")]
            yield from (one for one in given if isinstance(one, ast.Constant))


@pytest.mark.parametrize("kind", ALERTS)
def test_an_alert_leads_to_the_page_first_and_names_the_command_only_where_no_page_is_known(kind: str) -> None:
    link = f"https://{alert_samples.HOST}/api/page/{PAGES[kind]}"
    assert ALERTS[kind].link == link
    message = alert.compose(ALERTS[kind], VOICE)
    (button,) = message.buttons
    assert button.url == link
    lonely = alert.compose(replace(ALERTS[kind], link=""), VOICE)
    assert lonely.buttons == ()
    assert lonely.command == ALERTS[kind].command
    slack = json.loads(_slack_blocks.body(message, "cut"))["blocks"]
    card = json.loads(_teams_card.envelope(message, "cut"))["attachments"][0]["content"]
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open the page", "url": link}]
    assert {"type": "link", "url": link, "text": "Open the page"} in slack[2]["elements"][0]["elements"]
    assert message.command == ""
    for template in ("message.txt", "message.html"):
        assert link in rendered(message, template)


@pytest.mark.parametrize("address", PAGES.values())
def test_signing_in_goes_on_to_where_the_link_pointed(address: str) -> None:
    assert not address or web._BEYOND.fullmatch(address)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("third_step", "withheld")])
def test_the_deed_follows_what_was_done(kind: str) -> None:
    assert deed(sample(kind)) == kind


def test_a_source_of_its_own_means_a_test_drive_and_an_action_counts_for_more_than_a_stage() -> None:
    assert deed(replace(sample("unknown"), source="TestDrive")) == "test_drive"
    assert deed(replace(sample("contact_me"), stage=Stage.INITIAL_INTEREST)) == "contact_me"
    assert deed(replace(sample("contact_me"), stage=Stage.DO_NOT_CONTACT)) == "do_not_contact"
    assert deed(replace(sample("contact_me"), action="plt")) == "contact_me"


def test_each_deed_has_its_own_next_step_in_every_language() -> None:
    for code in languages.codes():
        advice = [message_of(kind, code).next_text for kind in KINDS if kind != "third_step"]
        assert len(set(advice)) == len(advice)


def test_the_step_counts_and_the_list_is_short() -> None:
    leads = [replace(sample("create"), id=f"9f86d081884c7d65-{number:016x}") for number in range(12)]
    message = compose(sample("contact_me"), leads, NOW, VOICE)
    assert message.step == "Step 13 of this customer · last here 12 min ago"
    assert len(message.earlier) == EARLIER_LIMIT + 1
    assert message.earlier[-1] == "Even earlier steps: 7"
    assert compose(sample("contact_me"), [sample("test")], NOW, VOICE).step == ""


def test_a_late_message_tells_what_was_done_since() -> None:
    later = [sample("test_drive"), sample("create"), sample("test")]
    message = compose(sample("get_it_now"), [], NOW, VOICE, later=later)
    assert message.notes == ("This customer has done more since then: Pressed “Create” in the Azure portal.",)
    assert message.step == ""


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ((3,), "Second step of this customer · last here 3 days ago"),
        ((180, 200), "Third step of this customer · last here 180 days ago"),
        ((181,), "Second step of this customer"),
    ],
)
def test_a_message_says_when_the_customer_was_here_within_180_days(days: tuple[int, ...], said: str) -> None:
    before = [replace(sample("create"), created_at=NOW - timedelta(days=ago)) for ago in days]
    assert compose(sample("contact_me"), before, NOW, VOICE).step == said


def test_marks_are_told_beside_the_address_and_not_where_no_address_is_shown() -> None:
    def told(kind: str, *marks: Mark) -> list[str]:
        step = Step(NOW, Deadline.after(1), marks=marks)
        facts = of_step(sample(kind), step, VOICE).facts
        return [fact.value for fact in facts if fact.label == "Kind of address"]

    assert told("contact_me") == []
    assert told("contact_me", Mark.OWN) == ["your own company"]
    assert told("create", Mark.FREE, Mark.DISPOSABLE) == ["free mail or access provider, disposable"]
    assert told("do_not_contact", Mark.FREE) == []


def test_who_is_named_by_what_there_is() -> None:
    lead = sample("contact_me")
    for contact, headline in (
        (Contact(first_name="Ada"), "Ada"),
        (Contact(company="Fabrikam"), "Fabrikam"),
        (Contact(email="ada@example.com"), "ada@example.com"),
        (Contact(), "Unknown customer"),
    ):
        assert compose(replace(lead, contact=contact), [], NOW, VOICE).headline == headline
    nameless = replace(sample("do_not_contact"), contact=Contact(email="ada@example.com"))
    assert compose(nameless, [], NOW, VOICE).headline == "Unknown customer"


def test_what_could_not_be_checked_is_told_in_the_readers_words() -> None:
    lead = replace(sample("contact_me"), issues=("phone: no phone number", "Email: no address", "zzz: odd"))
    assert compose(lead, [], NOW, VOICE).notes == ("Could not be checked and is shown as it came: Phone, E-mail.",)


def test_long_words_are_cut_with_a_notice() -> None:
    message = compose(replace(sample("contact_me"), message="x" * 10_000), [], NOW, VOICE)
    assert len(message.quote) == MESSAGE_LIMIT
    assert message.quote.endswith("…")
    assert message.notes == ("Long text was cut. The whole lead is kept under its id.",)


def test_the_record_in_each_crm_is_linked() -> None:
    records = (Link("Dynamics 365", "https://contoso.crm4.dynamics.com/x"), Link("Salesforce", "https://sf.example/y"))
    step = Step(NOW, Deadline.after(20), records=records)
    buttons = of_step(sample("contact_me"), step, VOICE).buttons[-2:]
    assert [(button.text, button.url) for button in buttons] == [
        ("Open in Dynamics 365", "https://contoso.crm4.dynamics.com/x"),
        ("Open in Salesforce", "https://sf.example/y"),
    ]
    assert of_step(sample("test"), step, VOICE).buttons == ()


def test_a_record_that_is_not_https_is_not_linked() -> None:
    step = Step(NOW, Deadline.after(20), records=(Link("CRM", "javascript:alert(1)"),))
    buttons = of_step(SAMPLES["create"], step, VOICE).buttons
    assert all(not button.url.startswith("javascript") for button in buttons)


class Page(HTMLParser):
    """What a browser would make of a page, as far as tests want to know."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "background")]

    def handle_data(self, data: str) -> None:
        self.text += data


ALLOWED = {"html", "head", "meta", "title", "style", "body", "div", "table", "tr", "td", "th", "span", "p", "a", "br"}


def page_of(message: Message) -> Page:
    page = Page()
    page.feed(rendered(message, "message.html"))
    page.close()
    return page


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_become_no_markup_and_no_link(value: str) -> None:
    lead = hostile_lead(value)
    message = compose(lead, [lead, lead], NOW, VOICE)
    page = page_of(message)
    assert set(page.tags) <= ALLOWED
    assert not any(name.startswith("on") for name in page.attributes)
    assert page.links == []
    assert message.buttons == ()
    for text in (page.text, rendered(message, "message.txt"), message.subject):
        assert "\u202e" not in text
        assert not re.search("(?i)[a-z]:[^\\s\u200b…]|www[.]|://", text)
    harmless = page_of(compose(hostile_lead("Ada"), [hostile_lead("Ada")] * 2, NOW, VOICE))
    assert [tag for tag in page.tags if tag != "br"] == [tag for tag in harmless.tags if tag != "br"]


@hypothesis.settings(deadline=None)
@given(value=st.text(st.characters(codec=None), max_size=200))
def test_any_values_become_messages_without_markup(value: str) -> None:
    message = compose(hostile_lead(value), [hostile_lead(value)], NOW, VOICE)
    assert "\n" not in message.subject
    assert set(page_of(message).tags) <= ALLOWED
    rendered(message, "message.txt").encode()
    assert len(_teams_card.envelope(message, "cut")) <= _teams_card.BUDGET


@hypothesis.settings(deadline=None)
@given(
    address=st.text(max_size=40) | st.sampled_from(HOSTILE) | st.emails(),
    phone=st.text(max_size=20) | st.from_regex(r"\+[0-9]{4,18}", fullmatch=True),
)
def test_links_lead_to_an_address_and_a_number_or_nowhere(address: str, phone: str) -> None:
    lead = replace(sample("contact_me"), contact=Contact(email=address, phone=phone))
    page = page_of(compose(lead, [], NOW, VOICE))
    for link in page.links:
        assert re.fullmatch(r"mailto:[A-Za-z0-9.!$'*+_%~/-]+@[A-Za-z0-9.-]+|tel:\+[0-9]{6,15}", link)
        assert "?" not in link


@pytest.mark.parametrize("tone", list(Tone))
def test_every_tone_has_a_color_and_white_on_it_can_be_read(tone: Tone) -> None:
    html = rendered(replace(message_of("create"), tone=tone), "message.html")
    found = re.search(r'bgcolor="#([0-9a-f]{6})" style="height:5px', html)
    assert found
    assert _contrast(found.group(1), "ffffff") >= 4.5
    for ink, ground in re.findall(r"background-color:#([0-9a-f]{6});color:#([0-9a-f]{6})", html):
        assert _contrast(ink, ground) >= 4.5


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of two colors by WCAG 2.2."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_mails_load_nothing_and_stay_small(kind: str) -> None:
    html = rendered(message_of(kind), "message.html")
    assert not re.search(r"(?i)<img|<link|@import|url\(|src=|<script|http-equiv", html)
    # Gmail cuts mails at 102 KB.
    assert len(html.encode()) < 40_000


def test_templates_escape_and_miss_nothing() -> None:
    values: dict[str, Any] = {item.name: "" for item in fields(Message)}
    with pytest.raises(Exception, match="undefined"):
        templating.render("message.txt", **{key: value for key, value in values.items() if key != "headline"})
