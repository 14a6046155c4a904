from __future__ import annotations

import time
import unicodedata
from email.headerregistry import Address

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.messages import plain
from leads.messages.plain import LINE_LIMIT, block, is_address, line
from tests.message_samples import HOSTILE

ANY = st.text(st.characters(codec=None), max_size=400) | st.sampled_from(HOSTILE)


@hypothesis.settings(deadline=None)
@given(ANY)
def test_a_line_is_one_line_of_harmless_characters(text: str) -> None:
    shown = line(text)
    assert len(shown) <= LINE_LIMIT
    assert shown == shown.strip()
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in shown)
    assert not any(
        unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "PDI") for c in shown
    )
    shown.encode("utf-8")


@hypothesis.settings(deadline=None)
@given(ANY)
def test_a_block_keeps_lines_and_nothing_else(text: str) -> None:
    shown = block(text, 100)
    assert len(shown) <= 100
    assert "\n\n\n" not in shown
    assert all(part == " ".join(part.split()) for part in shown.split("\n"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  Ada \t Rossi\r\n", "Ada Rossi"),
        ("Zoë e\u0301", "Zoë é"),
        ("gpj.\u202eexe", "gpj.\ufffdexe"),
        ("a\u200bb\ufeffc\u00ad", "abc"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a\x00b", "a\ufffdb"),
        ("a" + "\u0301" * 50, "á" + "\u0301" * 3),
        ("see https://evil.example", "see https:\u200b//evil\u200b.example"),
        ("pay at evil.example/bill?x=1 now.", "pay at evil\u200b.example/bill?x=1 now."),
        ("see evil.xn--p1ai/x", "see evil\u200b.xn--p1ai/x"),
        ("a.b.evil.example.", "a\u200b.b\u200b.evil\u200b.example."),
        ("(Evil.Example)", "(Evil\u200b.Example)"),
        ("bücher.example 例え.テスト", "bücher\u200b.example 例え\u200b.テスト"),
        (
            "evil.example/@x -evil.example +evil.example .evil.example",
            "evil\u200b.example/@x -evil\u200b.example +evil\u200b.example .evil\u200b.example",
        ),
        ("ada.lovelace+x@mail.example.com", "ada.lovelace+x@mail.example.com"),
        ("version 1.2, e.g. 3.5 h, z.B. so", "version 1.2, e.g. 3.5 h, z.B. so"),
        ("javascript:alert(1) MAILTO:a@b.c", "javascript:\u200balert(1) MAILTO:\u200ba@b.c"),
        ("www.evil.example", "www\u200b.evil\u200b.example"),
        (r"\\evil\share", "\\\u200b\\evil\\share"),
        ("at 12:30, note: yes, a@b.c", "at 12:30, note: yes, a@b.c"),
        ("x" * 201, "x" * 199 + "…"),
        ("x" * 200, "x" * 200),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert line(text) == shown


@given(st.from_regex(plain._ADDRESS, fullmatch=True) | st.emails() | ANY)
def test_an_address_fits_into_any_header(text: str) -> None:
    if is_address(text):
        assert Address("Ada", addr_spec=text).addr_spec == text
        assert text.isascii()


@pytest.mark.parametrize("piece", ["a.", "a-", "aa.bb", "a@", ".", "aa.bb+", "a.b@"])
def test_a_long_text_of_near_domains_takes_no_time(piece: str) -> None:
    began = time.perf_counter()
    block(piece * (200_000 // len(piece)), 8000)
    assert time.perf_counter() - began < 1


def test_our_own_words_may_hold_links() -> None:
    assert line("see https://learn.microsoft.com", links=True) == "see https://learn.microsoft.com"
