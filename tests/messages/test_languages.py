from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from leads.lead import Stage
from leads.messages import languages
from leads.reader import Reader

ENGLISH = languages.wording("en")
NOW = datetime(2026, 9, 28, 12, 3, tzinfo=UTC)


def blanks(value: Any) -> set[str]:
    return set(re.findall(r"\{(\w*)\}", str(value)))


def test_there_are_nine() -> None:
    assert languages.codes() == ("de", "en", "es", "fr", "it", "ja", "pt", "ru", "sv")


@pytest.mark.parametrize("code", languages.codes())
def test_a_language_lacks_nothing_and_has_nothing_of_its_own(code: str) -> None:
    wording = languages.wording(code)
    assert sorted(ENGLISH.keys() - wording.keys()) == [], f"{code}.toml lacks these"
    assert sorted(wording.keys() - ENGLISH.keys()) == [], f"nothing uses these of {code}.toml"
    assert {key: blanks(value) for key, value in wording.items()} == {key: blanks(ENGLISH[key]) for key in wording}
    assert len(wording["time.months"]) == 12
    assert len(wording["step.nth"]) == 10
    same = {key for key, value in wording.items() if isinstance(value, list) and value == ENGLISH[key]}
    assert code == "en" or not same
    for key in wording:
        if key.startswith("place."):
            assert wording[key].startswith(" ")


@pytest.mark.parametrize("code", languages.codes())
def test_every_stage_has_a_name(code: str) -> None:
    assert all(languages.load(code).has(f"stage.{stage}") for stage in Stage)


def test_what_a_language_lacks_is_said_in_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "xx.toml").write_text('[label]\nwho = "Kunde"')
    monkeypatch.setattr(languages, "FOLDER", tmp_path)
    partial = languages.Language("xx")
    assert partial.say("label.who") == "Kunde"
    assert partial.say("label.company") == "Company"


def test_values_are_never_read_as_wording() -> None:
    said = languages.load("en").say("deed.unknown.did", code="{place} {0.__class__}", place="")
    assert said == "Did something that Microsoft calls “{place} {0.__class__}”"


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=1), "1 h ago"),
        (timedelta(hours=47, minutes=59), "47 h ago"),
        (timedelta(days=2), "2 days ago"),
    ],
)
def test_how_long_ago(passed: timedelta, said: str) -> None:
    assert languages.load("en").ago(NOW - passed, NOW) == said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("en", "28 September 2026, 14:03 CEST"),
        ("de", "28. September 2026, 14:03 CEST"),
        ("es", "28 de septiembre de 2026, 14:03 CEST"),
        ("fr", "28 septembre 2026 à 14:03 CEST"),
        ("it", "28 settembre 2026, 14:03 CEST"),
        ("ja", "2026年9月28日 14:03 CEST"),
        ("pt", "28 de setembro de 2026, 14:03 CEST"),
        ("ru", "28 сентября 2026 г., 14:03 CEST"),
        ("sv", "28 september 2026 kl. 14:03 CEST"),
    ],
)
def test_a_moment_is_told_on_local_clocks(code: str, said: str) -> None:
    assert languages.load(code).moment(NOW, ZoneInfo("Europe/Rome")) == said


def test_a_zone_without_a_name_is_told_by_its_distance() -> None:
    assert languages.load("en").moment(NOW, ZoneInfo("America/Sao_Paulo")) == "28 September 2026, 09:03 UTC-03"


def test_countries_and_steps() -> None:
    english, russian = languages.load("en"), languages.load("ru")
    assert [english.country(code) for code in ("IT", "TW", "XX", "", "Narnia")] == [
        "Italy",
        "Taiwan",
        "XX",
        "",
        "Narnia",
    ]
    assert russian.country("DE") == "Германия"
    assert (english.step(3), english.step(11)) == ("Third step of this customer", "Step 11 of this customer")
    assert english.day(date(2026, 1, 2)) == "2 January 2026"


@pytest.mark.parametrize(
    ("value", "code"), [("", "en"), ("IT", "it"), ("pt-BR", "pt"), ("ru_RU", "ru"), (" sv ", "sv")]
)
def test_the_setting_takes_codes_with_and_without_a_region(value: str, code: str) -> None:
    reader = Reader({"LEADS_LANGUAGE": value}, languages.SETTINGS)
    assert languages.read(reader).code == code
    assert not reader.problems


@pytest.mark.parametrize("value", ["tlh", "../../x", "en.toml", "\x00"])
def test_a_language_that_there_is_not_is_a_problem_and_english(value: str) -> None:
    reader = Reader({"LEADS_LANGUAGE": value}, languages.SETTINGS)
    assert languages.read(reader).code == "en"
    assert [problem.setting for problem in reader.problems] == ["LEADS_LANGUAGE"]
    with pytest.raises(KeyError):
        languages.load(value)


@pytest.mark.parametrize("value", ["Mars/Olympus", "/etc/passwd", "../../x", "Europe", "a\x00b", "x" * 300, "."])
def test_a_time_zone_that_there_is_not_is_a_problem_and_utc(value: str) -> None:
    reader = Reader({"LEADS_TIME_ZONE": value}, languages.SETTINGS)
    assert languages.read_zone(reader) is UTC
    assert [problem.setting for problem in reader.problems] == ["LEADS_TIME_ZONE"]
