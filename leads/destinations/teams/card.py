"""A message as an Adaptive Card 1.4, in the envelope that a Workflows webhook takes.

Every word stands in a `TextRun`, which knows no Markdown, unlike `TextBlock` and `FactSet`; so nothing that a customer
wrote can become a link, a mention or markup. There are no `entities`, without which `<at>` mentions nobody.
Sources: learn.microsoft.com/adaptive-cards/create/textfeatures ("RichTextBlock does not support Markdown").
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from leads.messages.message import Message, Tone
from leads.messages.plain import cut

BUDGET = 20_000
"""Bytes of a whole request. Teams takes about 28 KB of card; beyond, it refuses or cuts where it likes."""

_STYLES = {
    Tone.URGENT: "warning",
    Tone.WARM: "accent",
    Tone.CALM: "emphasis",
    Tone.GOOD: "good",
    Tone.ALARM: "attention",
}
_SIZES = ((4000, 5, 2000), (2000, 5, 400), (1000, 5, 200), (400, 3, 100), (100, 1, 60), (0, 0, 40))
"""Characters of the quote, earlier steps and characters of a value: the first that fits the budget is taken."""
_ACTIVE = re.compile(r"<(?=[A-Za-z/!?])|[$@{](?=\{)|\](?=[(\[])")

Element = dict[str, Any]


def envelope(message: Message, cut_note: str) -> bytes:
    """The request's body: `message` as a card, in UTF-8 and within the budget. `cut_note` is added where that cost."""
    for size in _SIZES:
        body = _bytes(message, size, cut_note if size != _SIZES[0] else "")
        if len(body) <= BUDGET:
            return body
    return body


def _bytes(message: Message, size: tuple[int, int, int], cut_note: str) -> bytes:
    quote_limit, earlier_limit, value_limit = size
    notes = dict.fromkeys((*message.notes, *((cut_note,) if cut_note else ()), message.footer))
    quote = cut(message.quote, quote_limit) if quote_limit else ""
    earlier = message.earlier[len(message.earlier) - earlier_limit :] if earlier_limit else ()
    body: list[Element] = [
        _container(
            _STYLES[message.tone],
            [
                _text(
                    " · ".join(part for part in (message.badge, message.step) if part), size="Small", weight="Bolder"
                ),
                _text(cut(message.headline, value_limit), size="ExtraLarge", weight="Bolder", spacing="Small"),
                *([_text(cut(message.summary, 3 * value_limit), spacing="None")] if message.summary else []),
            ],
            bleed=True,
        ),
        _container(
            "",
            [
                _text(message.next_title, weight="Bolder"),
                _text(cut(message.next_text, max(value_limit, 400)), spacing="None"),
                *(
                    [
                        _text(message.command_title, spacing="Small"),
                        _text(message.command, fontType="Monospace", spacing="None"),
                    ]
                    if message.command
                    else []
                ),
            ],
        ),
    ]
    if quote:
        lines = [_text(part, italic=True, spacing="None") for part in quote.split("\n") if part]
        body.append(_container("emphasis", [_small(message.quote_title), *lines]))
    if message.facts:
        body.append(_container("", [_fact(fact.label, cut(fact.value, value_limit)) for fact in message.facts]))
    if message.lines:
        body.append(
            _container("", [_small(message.lines_title), *(_text(one, spacing="None") for one in message.lines)])
        )
    if earlier:
        steps = [_text(cut(step, 2 * value_limit), spacing="None") for step in earlier]
        body.append(_container("", [_small(message.earlier_title), *steps]))
    body.append(_container("", [_small(note) for note in notes], separator=True))
    card: Element = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "lang": message.language,
        "fallbackText": message.badge,
        "msteams": {"width": "Full"},
        "body": body,
    }
    if message.buttons:
        card["actions"] = [
            {"type": "Action.OpenUrl", "title": button.text, "url": button.url} for button in message.buttons
        ]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    whole = {"type": "message", "attachments": [attachment]}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def _container(style: str, items: Sequence[Element], *, bleed: bool = False, separator: bool = False) -> Element:
    container: Element = {"type": "Container", "items": list(items)}
    if style:
        container["style"] = style
    if bleed:
        container["bleed"] = True
    if separator:
        container["separator"] = True
    return container


def _text(text: str, *, spacing: str = "", **looks: str | bool) -> Element:
    block: Element = {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": calm(text), **looks}]}
    if spacing:
        block["spacing"] = spacing
    return block


def _small(text: str) -> Element:
    return _text(text, size="Small", isSubtle=True, spacing="None")


def _fact(label: str, value: str) -> Element:
    return {
        "type": "ColumnSet",
        "spacing": "Small",
        "columns": [
            {"type": "Column", "width": "110px", "items": [_text(label, isSubtle=True)]},
            {"type": "Column", "width": "stretch", "items": [_text(value)]},
        ],
    }


def calm(text: str) -> str:
    """`text` with a zero-width space where a tag, a template or a Markdown link would begin."""
    return _ACTIVE.sub("\\g<0>\u200b", text)
