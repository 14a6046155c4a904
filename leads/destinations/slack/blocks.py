"""A message as blocks of Block Kit, for an incoming webhook.

Every word stands in an element `text` of a `rich_text` block, which is shown as it is: mrkdwn, `<!channel>` and `<url>`
mean something in `mrkdwn` texts only, and those are used nowhere but in the top-level `text`, for notifications, where
the three characters that steer it are escaped. A mention in `rich_text` would be an element of its own.
Sources: docs.slack.dev, "Rich text block" and "Formatting message text" (escaping `&`, `<`, `>`); the limit of all
blocks together is public knowledge only (slackapi/bolt-js#2509).
"""

from __future__ import annotations

import json
import re
from typing import Any

from leads.messages.message import Message
from leads.messages.plain import cut

BUDGET = 12_000
"""Characters of a whole body, an emoji counted as two. Slack refuses more than about 13,200 (`msg_blocks_too_long`)."""

_SIZES = ((4000, 5, 200), (2000, 5, 200), (1000, 5, 200), (400, 3, 100), (100, 1, 60), (0, 0, 40))
"""Characters of the quote, earlier steps and characters of a value: the first that fits the budget is taken."""
_STEERING = re.compile(r"<(?=[!@#A-Za-z])")

Element = dict[str, Any]


def body(message: Message, cut_note: str) -> bytes:
    """The request's body: `message` in UTF-8 and within the budget. `cut_note` is added where that cost something."""
    for size in _SIZES:
        text = _text(message, size, cut_note if size != _SIZES[0] else "")
        if length(text) <= BUDGET:
            break
    return text.encode()


def length(text: str) -> int:
    """Characters as JavaScript and Java count them: to be on the safe side, since Slack does not say how it does."""
    return len(text.encode("utf-16-le")) // 2


def _text(message: Message, size: tuple[int, int, int], cut_note: str) -> str:
    quote_limit, earlier_limit, value_limit = size
    quote = cut(message.quote, quote_limit) if quote_limit else ""
    earlier = message.earlier[len(message.earlier) - earlier_limit :] if earlier_limit else ()
    top = [_said(" · ".join(part for part in (message.badge, message.step) if part), bold=True)]
    top += [_said("\n"), _said(cut(message.headline, value_limit), bold=True)]
    if message.summary:
        top += [_said("\n"), _said(cut(message.summary, 3 * value_limit))]
    advice = [_said(message.next_title, bold=True), _said("\n"), _said(cut(message.next_text, max(value_limit, 400)))]
    if message.command:
        advice += [_said("\n"), _said(message.command_title), _said("\n"), _said(message.command, code=True)]
    parts = [_section(*top), _section(*advice)]
    links = [button for button in message.buttons if button.url.startswith(("http", "mailto:"))]
    if links:
        parts.append(_section(*_apart([_link(button.text, button.url) for button in links], " · ")))
    if quote:
        parts += [
            _section(_said(message.quote_title, bold=True)),
            {"type": "rich_text_quote", "elements": [_said(quote)]},
        ]
    if message.facts:
        parts.append(_section(*_facts(message, value_limit)))
    if message.lines:
        lines = "\n".join(message.lines)
        parts.append(_section(_said(message.lines_title, bold=True), _said("\n"), _said(lines)))
    if earlier:
        steps = "\n".join(cut(step, 2 * value_limit) for step in earlier)
        parts.append(_section(_said(message.earlier_title, bold=True), _said("\n"), _said(steps)))
    notes = dict.fromkeys((*message.notes, *((cut_note,) if cut_note else ()), message.footer))
    parts.append(_section(_said("\n".join(notes), italic=True)))
    whole = {"text": _escaped(message.subject), "blocks": [{"type": "rich_text", "elements": [part]} for part in parts]}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def _facts(message: Message, limit: int) -> list[Element]:
    pairs = [(_said(f"{fact.label}: ", bold=True), _said(cut(fact.value, limit))) for fact in message.facts]
    return [element for at, pair in enumerate(pairs) for element in ((_said("\n"),) if at else ()) + pair]


def _apart(elements: list[Element], between: str) -> list[Element]:
    return [one for at, element in enumerate(elements) for one in ((_said(between),) if at else ()) + (element,)]


def _section(*elements: Element) -> Element:
    # Slack refuses an element without text, and with it the message.
    return {"type": "rich_text_section", "elements": [one for one in elements if one["text"]]}


def _said(text: str, **style: bool) -> Element:
    element: Element = {"type": "text", "text": _STEERING.sub("\\g<0>\u200b", text)}
    return element | {"style": style} if style else element


def _link(text: str, url: str) -> Element:
    return {"type": "link", "url": url, "text": text}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
