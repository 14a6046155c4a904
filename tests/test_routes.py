"""LEADS_ROUTES: each line of the language's page, and properties that hold for any text and any lead."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leads import routes
from leads.lead import COUNTRIES, Contact, Lead, Mark, Stage, Via
from leads.reader import Problem
from leads.routes import Decision, Facts, Routes, decide, parse

ENABLED = ("dynamics", "teams", "email:emea", "email:us", "https:erp", "follow_up")
CUSTOMERS = ("follow_up",)
ALL_BUT_CUSTOMERS = ENABLED[:-1]
README = (
    "+ > teams; country=DE,AT,CH > dynamics,email:emea; "
    "offer=contoso.planner* stage=active > https:erp,email:us; > dynamics"
)


def read(text: str) -> Routes:
    """The routes of a text that must be without problems."""
    parsed = parse(text, ENABLED)
    assert parsed.problems == ()
    return parsed


def chosen(text: str, lead: Facts | None = None, **values: Any) -> tuple[str, ...]:
    return decide(read(text), lead or Facts(**values), ENABLED, CUSTOMERS).destinations


def matches(conditions: str, **values: Any) -> bool:
    """Whether a lead matches a route of these conditions alone."""
    return chosen(f"{conditions} > none", **values) == ()


def problems(text: str, enabled: tuple[str, ...] = ENABLED) -> list[str]:
    parsed = parse(text, enabled)
    assert parsed.routes == ()
    assert {problem.setting for problem in parsed.problems} <= {"LEADS_ROUTES"}
    return [f"{problem.cause} {problem.remedy}" for problem in parsed.problems]


def problem(text: str) -> str:
    """The one problem of a text."""
    (found,) = problems(text)
    return found


# --- the text ---


def test_the_example_of_the_readme() -> None:
    def to(**values: Any) -> tuple[str, ...]:
        return chosen(README, **values)

    assert to(country="DE", offer="contoso.planner-pro", stage="active") == ("dynamics", "teams", "email:emea")
    assert to(country="US", offer="contoso.planner-pro", stage="active") == ("teams", "email:us", "https:erp")
    assert to(country="US", offer="contoso.planner-pro", stage="trial") == ("dynamics", "teams")
    assert to(country="US", offer="contoso.notes", stage="active") == ("dynamics", "teams")


@pytest.mark.parametrize("separator", [";", "\n", "\r\n", "\r", ";\n", "\n\n ; ;\t\n", " ; "])
def test_routes_stand_between_semicolons_or_new_lines_and_empty_ones_do_not_count(separator: str) -> None:
    parsed = read(separator.join(["", "country=DE > dynamics", "country=AT > teams", "> none", ""]))
    assert [(route.number, route.text) for route in parsed.routes] == [
        (1, "country=DE > dynamics"),
        (2, "country=AT > teams"),
        (3, "> none"),
    ]


@pytest.mark.parametrize("text", ["", " ", "\n", ";", ";;\n;\t", "\r\n"])
def test_a_text_without_a_route_is_no_route(text: str) -> None:
    assert parse(text, ENABLED) == Routes()


def test_several_conditions_must_all_hold_and_a_comma_is_or() -> None:
    text = "country=DE,AT stage=active\tsource=SPZA"
    assert matches(text, country="DE", stage="active", source="SPZA")
    assert matches(text, country="AT", stage="active", source="SPZA")
    assert not matches(text, country="CH", stage="active", source="SPZA")
    assert not matches(text, country="DE", stage="trial", source="SPZA")
    assert not matches(text, country="DE", stage="active", source="AzureMarketplace")


def test_without_a_condition_every_lead_matches() -> None:
    assert matches("", country="DE")
    assert matches("")


@pytest.mark.parametrize(
    ("condition", "lead"),
    [
        ("offer=contoso.planner", {"offer": "contoso.planner"}),
        ("country=DE", {"country": "DE"}),
        ("stage=do_not_contact", {"stage": "do_not_contact"}),
        ("source=AzureMarketplace", {"source": "AzureMarketplace"}),
        ("action=INS", {"action": "INS"}),
        ("mark=own", {"marks": ("own", "free")}),
        ("MARK=Own", {"marks": ("own",)}),
    ],
)
def test_each_key_looks_at_its_own_part_of_the_lead(condition: str, lead: dict[str, Any]) -> None:
    assert matches(condition, **lead)
    assert not matches(condition)
    assert {condition.partition("=")[0].lower()} <= set(routes.KEYS)


@pytest.mark.parametrize(
    ("value", "title", "matched"),
    [
        ("Planner", "planner", True),
        ("planner", "PLANNER", True),
        ("Planner", "Planner Pro", False),
        ("lanne", "Planner", False),
        ("STRASSE", "Straße", True),
        ("caf\u00e9", "Cafe\u0301", True),
        ("cafe\u0301", "CAF\u00c9", True),
        ("cafe", "Café", False),
        ('"Contoso   Planner"', "contoso planner", True),
        ('"Contoso Planner"', " Contoso \u00a0\t Planner ", True),
        ("Plan*", "Planner", True),
        ("Plan*", "Plan", True),
        ("*ner", "Planner", True),
        ("*lan*", "Planner", True),
        ("P*r", "Planner", True),
        ("P*x", "Planner", False),
        ("*a*a*", "Planner", False),
        ("ab*ba", "aba", False),
        ("**", "Planner", True),
        ("*日本*", "プランナー日本版", True),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("a?", "ab", False),
        ("x,Planner", "Planner", True),
    ],
)
def test_a_value_is_compared_with_the_whole_value_of_the_lead(value: str, title: str, matched: bool) -> None:
    assert matches(f"offer={value}", offer_title=title) is matched


def test_an_offer_matches_by_id_or_by_title() -> None:
    assert matches("offer=contoso.planner", offer="contoso.planner", offer_title="Contoso Planner")
    assert matches('offer="Contoso Planner"', offer="contoso.planner", offer_title="Contoso Planner")
    assert matches('offer="contoso planner"', offer_title="Contoso Planner")
    assert not matches('offer="contoso planner"', offer="contoso.planner")


@pytest.mark.parametrize("held", ["a;b", "a > b", "a,b", "a=b", "+a", "a b", "none", "; > , =", "it's", "“a”", "a\tb"])
def test_straight_quotes_hold_everything(held: str) -> None:
    assert matches(f'offer="{held}"', offer_title=held)
    assert not matches(f'offer="{held}"', offer_title="a")
    assert matches(f'offer=x,"{held}",y country=DE', offer_title=held, country="DE")


def test_a_star_stays_a_glob_in_quotes() -> None:
    assert matches('offer="Contoso *; Pro"', offer_title="Contoso Planner; Pro")
    assert matches('offer="*"', offer_title="")


@pytest.mark.parametrize("text", ['offer="Contoso > teams', 'offer="Contoso\n" > teams', 'offer=Contoso" > teams'])
def test_quotes_end_on_the_same_line(text: str) -> None:
    assert "not closed on its line. Close it" in problems(text)[0]


def test_an_open_quote_holds_nothing_so_that_all_problems_are_told() -> None:
    found = problems('offer="Contoso > teams; country=XX > teams')
    assert len(found) == 2
    assert "'XX'" in found[1]


@pytest.mark.parametrize("value", ['a"b"', '"a"b', 'a"b"c', '"a""b"'])
def test_quotes_stand_around_one_whole_value(value: str) -> None:
    assert "Put quotes around the whole value" in problem(f"offer={value} > teams")


@pytest.mark.parametrize("quotes", ["“”", "„“", "«»", "„”", "””", "＂＂", '“"'])
def test_curly_quotes_are_a_problem_that_says_which_ones_to_type(quotes: str) -> None:
    told = problem(f"offer={quotes[0]}Contoso; Planner > 2{quotes[1]} > teams")
    assert "column 7" in told
    assert 'Type straight double quotes: ".' in told


@pytest.mark.parametrize("quotes", ["''", "‘’", "``"])
def test_so_are_single_ones(quotes: str) -> None:
    assert 'Type straight double quotes: ".' in problem(f"offer={quotes[0]}Contoso{quotes[1]} > teams")


def test_an_apostrophe_in_a_value_is_itself() -> None:
    assert matches("offer=O’Neill's*", offer_title="O’Neill's Planner")


@pytest.mark.parametrize(
    ("country", "matched"), [("", True), ("Wakanda", True), ("XX", True), ("DE", False), ("JP", False)]
)
def test_a_question_mark_holds_for_a_country_that_is_empty_or_not_understood(country: str, matched: bool) -> None:
    assert matches("country=?", country=country) is matched
    assert matches("country=?,DE", country=country) is (matched or country == "DE")


def test_a_question_mark_holds_for_leads_with_neither_id_nor_title() -> None:
    assert matches("offer=?")
    assert not matches("offer=?", offer="contoso.planner")
    assert not matches("offer=?", offer_title="Contoso Planner")


def test_in_other_keys_a_question_mark_is_itself() -> None:
    for key in ("source", "action"):
        assert matches(f"{key}=?", **{key: "?"})
        assert not matches(f"{key}=?", **{key: ""})
    assert "'?' is not a stage." in problem("stage=? > teams")
    assert "'?' is not a mark." in problem("mark=? > teams")


@pytest.mark.parametrize("key", routes.KEYS)
@pytest.mark.parametrize("star", ["*", "**", '"*"', "x*,*", "D*,*"])
def test_a_star_alone_holds_for_every_lead(key: str, star: str) -> None:
    if key in ("stage", "mark"):
        star = star.replace("x*,", "").replace("D*,", "")
    assert matches(f"{key}={star}")
    assert matches(
        f"{key}={star}", country="Wakanda", source="x", marks=("own",), offer="a.b", action="y", stage="trial"
    )


def test_a_glob_of_a_country_takes_text_that_was_not_understood() -> None:
    assert matches("country=wak*", country="Wakanda")


@pytest.mark.parametrize(
    "text",
    [
        "country=DE>dynamics,teams",
        "  country=DE   >  dynamics , teams  ",
        "\tcountry=DE\t>\tdynamics\t,\tteams\t",
        "country=DE\u00a0>\u00a0dynamics,\u00a0teams",
        "country=DE > DYNAMICS, Teams",
        "country=DE > teams,dynamics,teams",
    ],
)
def test_spaces_mean_nothing_around_the_arrow_and_the_commas_on_the_right(text: str) -> None:
    assert chosen(text, country="DE") == ("dynamics", "teams")


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ("country=DE, AT > teams", "country=DE,AT"),
        ("country=DE ,AT > teams", "country=DE,AT"),
        ("country=DE , AT > teams", "country=DE,AT"),
        ("country=DE,\tAT, CH > teams", "country=DE,AT,CH"),
        ("country = DE > teams", "country=DE"),
        ("country= DE > teams", "country=DE"),
        ("country =DE > teams", "country=DE"),
        ('offer="a b", "c d" > teams', 'offer="a b","c d"'),
    ],
)
def test_a_space_beside_a_comma_or_an_equals_sign_is_a_problem_that_says_so(text: str, better: str) -> None:
    told = problem(text)
    assert "column 1:" in told
    assert "a space beside a comma or =" in told
    assert f"Write it without spaces: {better}." in told


def test_a_destination_is_the_whole_name() -> None:
    assert chosen("> email:emea") == ("email:emea",)
    assert "'email' is not an enabled destination." in problem("> email")
    assert chosen("> EMAIL:Emea") == ("email:emea",)
    assert "takes no *" in problem("> email:*")
    assert "takes no *" in problem("> *")


def test_an_unknown_destination_is_told_with_those_that_are_enabled() -> None:
    told = problem("country=DE > dynamics, teems")
    assert "Route 1, line 1, column 24: 'teems' is not an enabled destination." in told
    assert "LEADS_DESTINATIONS lists dynamics, teams, email:emea, email:us, https:erp, follow_up." in told
    assert "and 10 more" in problems("> x", tuple(f"https:a{n}" for n in range(30)))[0]


def test_quotes_around_a_destination_and_spaces_between_two_are_told_as_such() -> None:
    assert "Write the names without quotes." in problem('> "teams"')
    assert "Write the names without quotes." in problem("> “teams”")
    assert "Separate names by commas" in problem("> teams dynamics")


def test_none_stands_alone_and_without_plus() -> None:
    assert chosen("> none") == chosen(">NONE") == ()
    assert "none stands beside a destination" in problem("> none, teams")
    assert "none stands beside a destination" in problem("> teams,none")
    assert "none adds nothing" in problem("+ > none")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            "stage=new > teams",
            "'new' is not a stage. There are initial_interest, trial, active, do_not_contact, unknown.",
        ),
        ("stage=x* > teams", "'x*' is not a stage."),
        ("mark=gold > teams", "'gold' is not a mark. There are own, free, disposable."),
        ("country=XX > teams", "'XX' is not a country code of ISO 3166."),
        ("country=UK > teams", "Write GB."),
        ("country=Germany > teams", "Write its code of two letters"),
        ("country=DEU > teams", "Write its code of two letters"),
        ("country=D? > teams", "Write its code of two letters"),
        ("country= > teams", "A value of country is empty."),
        ("country=DE, > teams", "A value of country is empty."),
        ("country=DE,,AT > teams", "A value of country is empty."),
        ("country=,DE > teams", "A value of country is empty."),
        ("country=DE, stage=trial > teams", "A value of country is empty."),
        ('offer="" > teams', "There is nothing between the quotes."),
        ('offer="  " > teams', "There is nothing between the quotes."),
        ("company=Contoso > teams", "'company' is not a key. The keys are offer, country,"),
        ("=DE > teams", "There is no key before =."),
        ("DE > teams", "'DE' is not a condition."),
        ("offer=Contoso Planner > teams", 'A value with spaces stands in quotes: offer="Contoso Planner".'),
        ("offer=a=b > teams", "'a=b' holds a second =."),
        ("country=DE", "'country=DE' has no >."),
        ("teams", "'teams' has no >."),
        ("+", "'+' has no >."),
        ("++ > teams", "'+' is not a condition."),
        ("country=DE >", "There is no destination behind '>'. Name one; > none"),
        ("> teams,", "A destination is empty."),
        ("> teams,,dynamics", "A destination is empty."),
        ("> teams country=DE > dynamics", "There is a second >"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, wrong: str) -> None:
    assert wrong in problem(text)


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_and_every_mark_is_a_value(stage: Stage) -> None:
    assert matches(f"stage={stage.upper()}", stage=stage)
    for mark in Mark:
        assert matches(f"mark={mark}", marks=(mark,))


def test_every_country_code_is_a_value_in_either_case() -> None:
    import pycountry

    assert {country.alpha_2 for country in pycountry.countries} == COUNTRIES
    text = f"country={','.join(sorted(COUNTRIES)).lower()}"
    assert all(matches(text, country=code) for code in COUNTRIES)


# --- what it decides ---


def test_routes_are_read_in_order_and_the_first_match_without_plus_ends_the_reading() -> None:
    text = "country=DE > dynamics\ncountry=DE,AT > teams\n+ > email:us\n> https:erp"
    assert chosen(text, country="DE") == ("dynamics",)
    assert chosen(text, country="AT") == ("teams",)
    assert chosen(text, country="FR") == ("email:us", "https:erp")


def test_none_keeps_what_a_plus_above_it_added() -> None:
    assert chosen("+ > teams; mark=own > none; > dynamics", marks=("own",)) == ("teams",)
    assert chosen("mark=own > none; + > teams; > dynamics", marks=("own",)) == ()


def test_where_nothing_matches_without_plus_all_destinations_are_chosen_but_those_to_customers() -> None:
    decision = decide(read("+country=DE > teams; stage=trial > dynamics"), Facts(country="DE"), ENABLED, CUSTOMERS)
    assert decision.destinations == ALL_BUT_CUSTOMERS
    assert decision.route is None
    assert chosen("stage=trial > dynamics") == ALL_BUT_CUSTOMERS
    assert chosen("+ > follow_up; stage=trial > dynamics") == ENABLED
    assert chosen("> follow_up") == ("follow_up",)


def test_without_routes_all_destinations_are_chosen() -> None:
    assert chosen("") == ENABLED
    assert decide(Routes(), Facts(), ENABLED, CUSTOMERS) == Decision(ENABLED, None, ())


def test_where_routes_cannot_be_read_none_of_them_decides() -> None:
    parsed = parse("country=DE > none; country=XX > teams", ENABLED)
    assert decide(parsed, Facts(country="DE"), ENABLED, CUSTOMERS).destinations == ALL_BUT_CUSTOMERS


def test_the_last_routes_that_could_be_read_may_name_what_is_not_enabled_any_more() -> None:
    kept = parse("country=DE > Salesforce,teams", None)
    assert kept.problems == ()
    assert decide(kept, Facts(country="DE"), ("dynamics", "teams")).destinations == ("teams", "salesforce")


def test_what_decided_is_told_route_by_route() -> None:
    parsed = read("+stage=trial > teams\ncountry=DE,AT offer=a.* > dynamics; country=DE mark=own > none\n> dynamics")
    decision = decide(parsed, Facts(country="DE", offer="b.x", marks=("own",)), ENABLED, CUSTOMERS)
    assert json.loads(json.dumps(dataclasses.asdict(decision))) == {
        "destinations": [],
        "route": 3,
        "routes": [
            {"route": 1, "text": "+stage=trial > teams", "matched": False, "condition": "stage=trial"},
            {"route": 2, "text": "country=DE,AT offer=a.* > dynamics", "matched": False, "condition": "offer=a.*"},
            {"route": 3, "text": "country=DE mark=own > none", "matched": True, "condition": None},
        ],
    }


def test_marks_are_asked_for_only_where_a_route_depends_on_them() -> None:
    assert read("mark=own > none").asks_for_marks
    assert not read("mark=* > none").asks_for_marks
    assert not read(README).asks_for_marks
    assert not parse("mark=own > nobody", ENABLED).asks_for_marks


def test_the_facts_of_a_lead() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    lead = Lead(
        via=Via.HTTPS,
        arrived_at=now,
        created_at=now,
        source="SPZA",
        action="PLT",
        offer="contoso.planner",
        offer_title="Contoso Planner",
        stage=Stage.ACTIVE,
        contact=Contact(country="DE"),
    )
    facts = routes.facts(lead, (Mark.OWN,))
    assert facts == Facts("contoso.planner", "Contoso Planner", "DE", "active", "SPZA", "PLT", ("own",))
    assert chosen("country=de stage=active source=spza action=plt offer=contoso.* mark=own > teams", facts) == (
        "teams",
    )


# --- telling it ---


def test_all_problems_are_alerted_at_once_each_with_its_place() -> None:
    text = "\n > dynamics;;country=XX > teams\r\n\tstage=new offer= > teems"
    assert [re.match(r"Route (\d), line (\d), column (\d+): ", told)[0] for told in problems(text)] == [  # type: ignore[index]
        "Route 2, line 2, column 22: ",
        "Route 3, line 3, column 8: ",
        "Route 3, line 3, column 18: ",
        "Route 3, line 3, column 21: ",
    ]


def test_what_may_be_a_pasted_secret_is_not_quoted_whole() -> None:
    key = "kX9" * 28
    for text in (f"AccountKey={key}", key, f"{key} > teams", f"country={key} > teams", f"> {key}"):
        assert not any(key[:13] in told for told in problems(text))


def warned(text: str, offers: tuple[tuple[str, str], ...] = (), enabled: tuple[str, ...] = ENABLED) -> list[str]:
    parsed = parse(text, enabled)
    assert not parsed.problems
    found = routes.warnings(parsed, enabled, CUSTOMERS, offers)
    assert all(isinstance(one, Problem) and one.setting == "LEADS_ROUTES" for one in found)
    return [f"{one.cause} {one.remedy}" for one in found]


NAMED = "action=never > dynamics,teams,email:emea,email:us,https:erp,follow_up"


def test_routes_that_say_everything_give_no_warning() -> None:
    assert warned(f"{NAMED}; country=DE > teams; > none") == []
    assert warned("") == []


@pytest.mark.parametrize("last", ["country=DE > teams", "+ > teams", "+country=DE > teams"])
def test_a_last_route_that_does_not_take_the_rest_is_warned_of(last: str) -> None:
    (told,) = warned(f"{NAMED}; {last}")
    assert told.startswith("No route takes the rest")
    assert "every destination except follow_up" in told
    assert "> none" in told


def test_a_star_alone_takes_the_rest() -> None:
    assert warned(f"{NAMED}; country=* > teams") == []


def test_enabled_destinations_that_no_route_names_are_warned_of() -> None:
    assert [told.partition(",")[0] for told in warned("country=DE > dynamics,email:emea,https:erp; > teams")] == [
        "No route names email:us",
        "No route names follow_up",
    ]


OFFERS = (("contoso.planner", "Contoso Planner"), ("contoso.notes", "Contoso Notes"))


def test_known_offers_that_match_no_route_are_warned_of() -> None:
    told = warned(f"offer=x {NAMED}; offer=contoso.planner country=DE > teams; + > teams", OFFERS)
    (line,) = [line for line in told if line.startswith("The offer")]
    assert line == (
        "The offer contoso.notes matches no route without +, so its leads go to every destination except follow_up. "
        "Name it in a route, or end the list with a route without conditions."
    )
    assert not any(line.startswith("The offer") for line in warned(f"{NAMED}; > none", OFFERS))
    by_title = f'offer=x {NAMED}; offer="contoso *" > teams'
    assert not any(line.startswith("The offer") for line in warned(by_title, OFFERS))


@pytest.mark.parametrize(
    ("value", "offers", "told"),
    [
        ("contoso.planner", (), True),
        ("contoso.planner*", (), True),
        ("contoso.planner*", (("contoso.planner", ""),), True),
        ("contoso.planner*", OFFERS, False),
        ("contoso.*", (*OFFERS, ("contoso.new", "")), True),
        ("contoso.gone", OFFERS, True),
        ('"Contoso Planner"', (), False),
        ("Planner", (), False),
        ("?", (), False),
        ("contoso*", (), False),
    ],
)
def test_a_condition_on_an_id_that_titles_do_not_lead_to_is_warned_of(
    value: str, offers: tuple[tuple[str, str], ...], told: bool
) -> None:
    found = warned(f"{NAMED}; offer={value} > teams; > none", offers)
    assert bool(found) is told
    assert all(line.startswith("Route 2 asks for the offer id") and "HTTPS" in line for line in found)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("> teams; country=DE > dynamics", [1]),
        ("offer=* > teams; + > dynamics", [1]),
        ("country=DE > teams; country=DE > dynamics", [2]),
        ("country=DE > teams; +country=de > dynamics", [2]),
        ("country=DE,AT > teams; country=DE stage=trial > dynamics", [2]),
        ("country=DE > teams; country=AT > dynamics; country=AT,DE > none", [3]),
        ("offer=contoso.* > teams; offer=contoso.planner* > dynamics; offer=contoso.x > none", [2, 3]),
        ("country=DE > teams; +country=AT > teams; country=AT > dynamics", []),
        ("country=DE stage=trial > teams; country=DE > dynamics", []),
        ("country=DE > teams; country=DE,AT > dynamics", []),
        ("offer=contoso.a* > teams; offer=contoso.* > dynamics", []),
        ("country=? > teams; country=DE > dynamics; country=? stage=trial > none", [3]),
        ("country=*a* > teams; country=? > dynamics", []),
        ("country=DE country=AT > teams", [1]),
        ("country=DE,AT country=AT > teams", []),
        ("country=? country=AT > teams", [1]),
        ("mark=own mark=free > teams", []),
        ("offer=a.b offer=Title > teams", []),
        ("offer=a.* offer=*b > teams; offer=a.xb > dynamics", [2]),
    ],
)
def test_routes_that_can_never_be_reached_are_warned_of(text: str, numbers: list[int]) -> None:
    told = [re.search(r"oute (\d+)", line) for line in warned(text) if "can never" in line]
    assert [int(found[1]) for found in told if found] == numbers


# --- speed ---


def calls_of(action: Callable[[], object]) -> int:
    """How many functions, of Python and of C, are called on the way."""
    count = Counter[str]()

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        count[event] += 1

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count["call"] + count["c_call"]


def test_thousands_of_routes_cost_a_few_calls_each() -> None:
    text = "\n".join(f"offer=contoso.{n}* country=DE,AT stage=active > teams" for n in range(2_500))
    parsed = read(text)
    lead = Facts(offer="fabrikam.x", offer_title="x" * 8_000, country="IT", stage="active")
    assert calls_of(lambda: decide(parsed, lead, ENABLED)) < 20 * 2_500
    assert calls_of(lambda: parse(text, ENABLED)) < 300 * 2_500


@pytest.mark.parametrize("text", ["a" * 8_000, "ab" * 4_000, "a" * 7_999 + "b"])
def test_a_glob_of_thirty_stars_looks_at_each_part_once(text: str) -> None:
    parsed = read(f"offer={'a*' * 30}c > teams")
    glob = parsed.routes[0].conditions[0].values[0]
    assert len(glob) == 31
    assert calls_of(lambda: routes._matches(glob, text)) < 100
    many = read("\n".join(f"offer=*{'*ab' * 29}*{n}z > teams" for n in range(2_500)))
    assert calls_of(lambda: decide(many, Facts(offer_title=text), ENABLED)) < 100 * 2_500


@pytest.mark.parametrize("value", ["contoso.{}.*", "*x{}y*", "*contoso-{}", "contoso{}", "x action={}"])
def test_looking_for_unreachable_ones_among_thousands_does_not_compare_each_with_each(value: str) -> None:
    parsed = read("\n".join(f"offer={value.format(n)} country=DE,AT > teams" for n in range(1_000)))
    assert calls_of(lambda: routes.warnings(parsed, ENABLED)) < 1_000 * 1_000 / 2


# --- any text, any lead ---

SIGNS = st.text(st.sampled_from("ab DEat=,;>+*?\"'“”\n\r\tnone:.é\u0301\u00a0"), max_size=80)
VALUES = st.text(st.sampled_from("ab*"), max_size=8)


@given(SIGNS | st.text(max_size=60))
@example('offer="')
@example("\x1c>\x85")
def test_any_text_is_read_and_its_problems_lie_inside_it(text: str) -> None:
    parsed = parse(text, ENABLED)
    lines = re.split("\r\n|\r|\n", text)
    for found in parsed.problems:
        place = re.match(r"Route (\d+), line (\d+), column (\d+): ", found.cause)
        assert place
        assert 1 <= int(place[2]) <= len(lines)
        assert 1 <= int(place[3]) <= len(lines[int(place[2]) - 1]) + 1
        assert found.cause.isprintable()
        assert found.remedy.endswith(".") or found.remedy.endswith('".')
    assert [route.number for route in parsed.routes] == list(range(1, len(parsed.routes) + 1))
    for route in parsed.routes:
        (again,) = read(route.text).routes
        assert dataclasses.replace(again, number=route.number) == route
    decide(parsed, Facts(), ENABLED)
    routes.warnings(parsed, ENABLED, CUSTOMERS, OFFERS)


@given(VALUES.filter(bool), st.text(st.sampled_from("ab"), max_size=10))
def test_a_glob_matches_as_a_regular_expression_would(value: str, text: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, value.split("*"))), text) is not None
    assert matches(f'source="{value}"', source=text) is expected


@given(st.text(min_size=1, max_size=12).filter(lambda text: not set(text) & set('*"\r\n') and bool(text.strip())))
def test_any_title_matches_itself_in_quotes(title: str) -> None:
    if title.strip() != "?":
        assert matches(f'offer="{title}"', offer_title=title)
        assert matches(f'offer="{title}"', offer_title=unicodedata.normalize("NFD", title.upper()).lower()) or (
            routes.fold(title) != routes.fold(unicodedata.normalize("NFD", title.upper()).lower())
        )


WRITTEN = {
    "country": ["DE", "AT", "?", "D*", "*"],
    "stage": ["trial", "active", "*a*", "*"],
    "offer": ["a.b", "a.*", '"A; B"', "?", "*"],
    "mark": ["own", "free", "*"],
}
CONDITIONS = st.dictionaries(
    st.sampled_from(sorted(WRITTEN)), st.lists(st.integers(0, 4), min_size=1, max_size=2), max_size=2
)
WRITTEN_ROUTES = st.lists(
    st.tuples(st.booleans(), CONDITIONS, st.lists(st.sampled_from(ENABLED), max_size=2, unique=True)), max_size=6
)
SPACES = st.sampled_from(["", " ", "\t", "  "])
LEADS = [
    Facts(offer=offer, offer_title=title, country=country, stage=stage, marks=marks)
    for (offer, title), country, stage, marks in itertools.product(
        [("", ""), ("a.b", ""), ("", "A; B"), ("a.x", "A; B"), ("c.d", "C")],
        ["DE", "AT", "DK", "Denmarkia", ""],
        ["trial", "active", "unknown"],
        [(), ("own",), ("own", "free")],
    )
]


def model_holds(key: str, values: list[str], lead: Facts) -> bool:
    """The page of the language, as plainly as it can be written."""
    of_lead = {
        "country": [lead.country],
        "stage": [lead.stage],
        "offer": [lead.offer, lead.offer_title],
        "mark": list(lead.marks),
    }[key]
    unknown = (key == "country" and lead.country not in COUNTRIES) or (key == "offer" and not any(of_lead))
    for value in values:
        bare = value.strip('"').lower()
        pattern = ".*".join(map(re.escape, bare.split("*")))
        if bare == "*" or (bare == "?" and unknown):
            return True
        if any(text and re.fullmatch(pattern, text.lower()) for text in of_lead):
            return True
    return False


@settings(max_examples=60, deadline=None)
@given(WRITTEN_ROUTES, st.data())
def test_routes_decide_as_the_page_says_and_warnings_of_unreachable_ones_are_true(
    written: list[tuple[bool, dict[str, list[int]], list[str]]], data: st.DataObject
) -> None:
    wanted = []
    text = ""
    for adds, conditions, names in written:
        adds = adds and bool(names)
        plain = {key: [WRITTEN[key][n % len(WRITTEN[key])] for n in numbers] for key, numbers in conditions.items()}
        wanted.append((adds, plain, names))
        left = " ".join(f"{key}={','.join(values)}" for key, values in plain.items())
        gap = data.draw(SPACES)
        comma = f"{gap},{data.draw(SPACES)}"
        text += f"{gap}{'+' if adds else ''}{gap}{left}{gap}>{gap}{comma.join(names) or 'none'}{gap}"
        text += data.draw(st.sampled_from([";", "\n", " ;\r\n"]))
    parsed = read(text)
    unreachable = {
        int(number)
        for told in routes.warnings(parsed, ENABLED)
        if "can never" in told.cause
        for number in re.findall(r"\d+", told.cause.partition("(route")[2] or told.cause)
    }
    for lead in LEADS:
        expected: set[str] = set()
        ended = None
        for number, (adds, plain, names) in enumerate(wanted, 1):
            if all(model_holds(key, values, lead) for key, values in plain.items()):
                expected |= set(names)
                if not adds:
                    ended = number
                    break
        if ended is None:
            expected |= set(ENABLED if not wanted else ALL_BUT_CUSTOMERS)
        decision = decide(parsed, lead, ENABLED, CUSTOMERS)
        assert (set(decision.destinations), decision.route) == (expected, ended)
        assert not unreachable & {verdict.route for verdict in decision.routes if verdict.matched}
