"""What a summary of a flood says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from leads.messages import languages, summary
from tests.message_samples import NOW, SAMPLES, VOICE, hostile_lead, sample

NAME = "teams 2026-11-03T16:15"


def test_each_lead_is_a_line_and_the_rest_is_counted() -> None:
    leads = [replace(lead, arrived_at=NOW + timedelta(minutes=at)) for at, lead in enumerate(SAMPLES.values())]
    message = summary.compose(leads, 300, NAME, VOICE)
    assert len(message.lines) == len(leads)
    assert message.lines[0] == "14:03 · Contact me · Ada Rossi, Fabrikam S.p.A. · Contoso Invoice Flow"
    assert message.headline == "Many leads at once: 300"
    assert f"Not listed here: {300 - len(leads)}" in message.notes
    assert any(NAME in note for note in message.notes), "so that a repeated one is known"


def test_no_address_of_one_who_must_not_be_contacted_is_shown() -> None:
    shy = replace(
        sample("do_not_contact"), contact=replace(sample("do_not_contact").contact, first_name="", last_name="")
    )
    assert "@" not in summary.compose([shy], 1, NAME, VOICE).lines[0]


def test_there_are_two_hundred_lines_at_most() -> None:
    message = summary.compose([sample("contact_me")] * 500, 500, NAME, VOICE)
    assert len(message.lines) == summary.LINES == 200
    assert "Not listed here: 300" in message.notes


def test_each_is_shorter_than_the_one_before_and_its_count_is_right() -> None:
    sizes = []
    for message in summary.ever_shorter([hostile_lead("x" * 8000)] * 200, 250, NAME, VOICE):
        assert f"Not listed here: {250 - len(message.lines)}" in message.notes
        sizes.append(sum(map(len, message.lines)))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 20 * 60


@pytest.mark.parametrize("code", languages.codes())
def test_every_language_says_it(code: str) -> None:
    voice = replace(VOICE, language=languages.load(code))
    message = summary.compose([sample("create")], 2, NAME, voice)
    assert message.language == code
    assert "{" not in " ".join((message.subject, message.summary, message.next_text, *message.notes))
