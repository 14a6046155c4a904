"""Ids that name a lead without giving its customer away: keyed hashes, with a key that never leaves the store."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

DIGITS = 16
"""Hexadecimal digits of an event and of a customer: 64 bits each."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Makes the two halves of a lead id."""

    key: bytes

    def _hash(self, kind: str, *parts: bytes) -> str:
        digest = hmac.new(self.key, kind.encode(), hashlib.sha256)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()[:DIGITS]

    def of_row(self, account: str, table: str, partition_key: str, row_key: str) -> str:
        """The event of a row of the watched table. Table names do not differ by case in Azure."""
        parts = (account.lower(), table.lower(), partition_key, row_key)
        return self._hash("row", *(part.encode("utf-8", "surrogatepass") for part in parts))

    def of_post(self, content: bytes, span: str) -> str:
        """The event of a POST: its canonical content in one span of time, such as a UTC day (`2026-11-21`)."""
        return self._hash("post", span.encode(), content)

    def of_import(self, content: bytes) -> str:
        """The event of an imported record: its canonical content, whenever it is imported."""
        return self._hash("import", content)

    def of_referral(self, referral_id: str) -> str:
        """The event of an imported record that Partner Center gave an id: the id, whatever its other columns say."""
        return self._hash("referral", referral_id.encode("utf-8", "surrogatepass"))

    def customer(self, email_key: str | None, event: str) -> str:
        """The customer behind a normalized e-mail, or behind this one event where there is no e-mail."""
        if email_key:
            return self._hash("email", email_key.encode("utf-8", "surrogatepass"))
        return self._hash("event", event.encode())
