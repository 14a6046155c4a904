"""Leads to try the way with: Microsoft's own test lead, and each step that a customer can take."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime

STEPS = {
    "contact-me": ("SPZA", "PLT"),
    "get-it-now": ("AzureMarketplace", "INS"),
    "create": ("AzurePortal", "Create"),
    "test-drive": ("TestDrive", "StartTestDrive"),
    "dnc": ("SPZA", "DNC"),
}
"""Source and action code of each step."""

EMAIL = "test.lead@example.com"
_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)


def body(step: str, email: str, now: datetime) -> bytes:
    """The body of a test lead as the marketplace would POST it, each time another event.

    Without a step it is the lead that Partner Center sends on Validate (lead-management-faq, 12/03/2021). With one it
    is not marked as a test: it goes everywhere, CRMs included.
    """
    if not step:
        return json.dumps(_of_microsoft(now)).encode()
    source, action = STEPS[step]
    person = {
        "firstName": "Test",
        "lastName": "Lead",
        "email": email or EMAIL,
        "phone": "+1 425 555 0100",
        "country": "US",
        "company": "Example (a test of the lead app)",
        "title": "Tester",
    }
    return json.dumps(
        {
            "userDetails": person,
            "leadSource": f"{source}-{action}|example.test-offer",
            "actionCode": action,
            "offerTitle": "Test offer",
            "description": f"Sent to try the app: {step} ({secrets.token_hex(4)}).",
        }
    ).encode()


def _of_microsoft(now: datetime) -> dict[str, object]:
    since = now - _YEAR_ONE
    ticks = (since.days * 86_400 + since.seconds) * 10_000_000 + secrets.randbelow(10_000_000)
    mark = f"MSFT_TEST_{ticks}"
    person = {
        "firstName": mark,
        "lastName": mark,
        "email": f"{mark}@test.com",
        "phone": "1234567890",
        "country": "US",
        "company": mark,
        "title": mark,
    }
    return {
        "userDetails": person,
        "leadSource": "AzureMarketplace",
        "actionCode": "INS",
        "offerTitle": "Contoso Test",
        "description": mark,
    }
