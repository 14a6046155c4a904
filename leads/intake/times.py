"""The moment that a text means, whatever its form. Microsoft documents none for `CreatedTime`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from leads.store.rows import time_read

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)

_UNITS = {10: 1_000_000, 13: 1_000, 16: 1}
"""Microseconds in one unit of an epoch, by its digits: seconds, milliseconds, microseconds. Ticks have 18."""

_DOT_NET = re.compile(r"\\?/Date\((-?\d{1,17})(?:[+-]\d{4})?\)\\?/", re.ASCII)
"""`/Date(1762185906000+0100)/`: milliseconds in UTC; the offset is only for show."""

_SLASHES = re.compile(
    r"(\d{1,2})([/.-])(\d{1,2})[/.-](\d{4})"
    r"(?:,? +(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)? ?([ap]\.?m\.?)?)?"
    r" ?(?:z|utc|gmt|([+-]\d{2}):?(\d{2}))?",
    re.IGNORECASE | re.ASCII,
)
_NAMED = (
    "%b %d %Y %I:%M%p",
    "%b %d %Y %I:%M:%S:%f%p",
    "%b %d, %Y %I:%M:%S %p",
    "%B %d, %Y %I:%M:%S %p",
    "%A, %B %d, %Y %I:%M:%S %p",
    "%A, %B %d, %Y %I:%M %p",
    "%d %b %Y %H:%M:%S",
    "%d %B %Y %H:%M:%S",
)


class Order(StrEnum):
    """Which of the two numbers of a date like `3/5/2026` comes first."""

    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"


def orders(text: str) -> frozenset[Order]:
    """The orders in which a date with slashes or dashes can be read: both for `3/5/2026`, one for `23/5/2026`.

    None for a time in any other form, and where day and month are the same number.
    """
    found = _SLASHES.fullmatch(" ".join(text[:100].split()))
    if not found or found[2] == ".":
        return frozenset()
    first, second = int(found[1]), int(found[3])
    if first == second:
        return frozenset()
    candidates = {Order.MONTH_FIRST: first, Order.DAY_FIRST: second}
    return frozenset(order for order, month in candidates.items() if month <= 12)


def moment(text: str, order: Order = Order.MONTH_FIRST) -> datetime | None:
    """The moment in UTC, to the microsecond, or None. A text without an offset is taken for UTC.

    Reads ISO 8601 (also with seven digits of a second), dates with slashes and AM and PM, .NET ticks, `/Date(ms)/`,
    epochs in seconds, milliseconds and microseconds, RFC 5322, and month names in English. `order` settles a date that
    `orders` finds ambiguous; Microsoft writes the month first.
    """
    text = " ".join(text[:100].split())
    if order is Order.DAY_FIRST and len(orders(text)) == 2:
        first, _, rest = re.split(r"([/-])", text, maxsplit=1)
        second, mark, year = re.split(r"([/.-])", rest, maxsplit=1)
        text = f"{second}/{first}{mark}{year}"
    for read in (_number, _dot_net, _iso, _slashes, _mail, _named):
        try:
            found = read(text)
            if found is not None:
                return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def _number(text: str) -> datetime | None:
    whole = text.partition(".")[0]
    if not (whole.isascii() and whole.isdigit()):
        return None
    if len(whole) == 18:
        return _YEAR_ONE + timedelta(microseconds=int(whole) // 10)
    if len(whole) in _UNITS:
        return _EPOCH + timedelta(microseconds=int(whole) * _UNITS[len(whole)])
    if len(whole) == 14:
        return datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return None


def _dot_net(text: str) -> datetime | None:
    found = _DOT_NET.fullmatch(text)
    return _EPOCH + timedelta(milliseconds=int(found[1])) if found else None


def _iso(text: str) -> datetime | None:
    text = text.upper()
    if not re.match(r"\d{4}-?\d{2}-?\d{2}(?:[T ]|$)", text, re.ASCII):
        return None
    return time_read(re.sub(r" (?=[+-]\d{2}:?\d{2}$)| ?(?:UTC|GMT)$", "", text))


def _slashes(text: str) -> datetime | None:
    found = _SLASHES.fullmatch(text)
    if not found:
        return None
    month, day, year, hour, minute, second = (int(part or 0) for part in found.group(1, 3, 4, 5, 6, 7))
    if found[2] == "." or month > 12:  # Microsoft writes US order, but these are days
        month, day = day, month
    half = (found[9] or "").lower().replace(".", "")
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    micro = int(((found[8] or "") + "000000")[:6])
    moment = datetime(year, month, day, hour, minute, second, micro, tzinfo=UTC)
    sign = -1 if (found[10] or "").startswith("-") else 1
    return moment - sign * timedelta(hours=abs(int(found[10] or 0)), minutes=int(found[11] or 0))


def _mail(text: str) -> datetime | None:
    return parsedate_to_datetime(text) if re.match(r"(?:[A-Za-z]{3}, )?\d{1,2} [A-Za-z]{3} \d{4} ", text) else None


def _named(text: str) -> datetime | None:
    for form in _NAMED:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
