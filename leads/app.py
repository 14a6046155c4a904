"""What one process of the app works with: settings, stores, doorbell, where leads go. Made when first asked for."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

from leads import enabled, log
from leads.errors import Misconfigured
from leads.lead import Lead, Mark
from leads.reader import Reader
from leads.settings import Account, Settings, read
from leads.store.doorbell import Doorbell, QueueDoorbell
from leads.store.identity import Identity
from leads.store.ledger import Ledger
from leads.store.protocol import Inbox, Store

LOCAL_NAMES = ("", "localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - compared, not bound
"""Hosts in WEBSITE_HOSTNAME, without the port, that mean one machine and no deployed app."""

if TYPE_CHECKING:
    from leads.routes import Decision, Routes


@dataclass
class App:
    """The app's parts. Tests put the twins in memory in their places."""

    settings: Settings
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Where destinations read their settings."""
    logged: dict[str, tuple[str, int]] = field(default_factory=dict, repr=False)
    """Of events that a stranger can cause at will: the hour, and how often this process logged them in it."""

    @cached_property
    def store(self) -> Store:
        """Our own tables and blobs. Raises Misconfigured where no storage account is set."""
        from leads.store.azure import AzureStore

        return AzureStore(self._account(self.settings.storage))

    @cached_property
    def doorbell(self) -> Doorbell:
        """The queue that rings for deliveries. Raises Misconfigured where no storage account is set."""
        return QueueDoorbell(self._account(self.settings.storage))

    @cached_property
    def inbox(self) -> Inbox:
        """The storage that Microsoft writes to. Raises Misconfigured where there is none."""
        from leads.store.azure_inbox import AzureInbox

        if self.settings.storage is not None and self.settings.inbox is None:
            raise Misconfigured(
                "LEADS_INBOX does not name a storage account.",
                "Correct it. The check on the page says how, and so does `python -m leads check`.",
            )
        return AzureInbox(self._account(self.settings.inbox))

    @cached_property
    def routes(self) -> Routes:
        """The routes of LEADS_ROUTES; while those cannot be read, the last readable ones, which the sweep keeps."""
        from leads import routes

        made = routes.parse(self.settings.routes, self.destinations)
        if not made.problems:
            return made
        last = self.ledger.note("routes").values.get("text")
        return routes.parse(str(last), None) if last else made

    @cached_property
    def own_domains(self) -> frozenset[str]:
        """The publisher's own mail domains; `check` reports what is wrong with them."""
        from leads import marks

        return marks.own_domains(Reader(self.environ, marks.SETTINGS))

    def marks(self, lead: Lead) -> tuple[Mark, ...]:
        """What the domain of a customer's address says about them."""
        from leads import marks

        return marks.marks(lead, self.own_domains)

    def decide(self, lead: Lead) -> Decision:
        """Which destinations a lead goes to, and why. Without routes it goes to all of them."""
        from leads import routes

        if not self.settings.routes:
            return routes.Decision(self.destinations, None, ())
        marks = self.marks(lead) if self.routes.asks_for_marks else ()
        customers = [name for name in self.destinations if enabled.split(name)[0] in enabled.CUSTOMERS]
        return routes.decide(self.routes, routes.facts(lead, marks), self.destinations, customers)

    @cached_property
    def ledger(self) -> Ledger:
        """What is known of each lead."""
        return Ledger(self.store)

    @property
    def is_deployed(self) -> bool:
        """Whether this runs on Azure, and not on somebody's own machine."""
        return self.environ.get("WEBSITE_HOSTNAME", "").strip().partition(":")[0] not in LOCAL_NAMES

    @property
    def page(self) -> str:
        """The address of the operators' page as people open it, ending with a slash; empty where it is not known."""
        site = self.environ.get("WEBSITE_HOSTNAME", "").strip()
        own = self.settings.url or (f"https://{site}" if self.is_deployed else "")
        return f"{own}/api/page/" if own else ""

    @property
    def names_destinations(self) -> bool:
        """Whether LEADS_DESTINATIONS names anything that can be read."""
        value = self.environ.get("LEADS_DESTINATIONS", "")
        return bool(value.strip(" ,")) and not value.strip().startswith("@Microsoft.KeyVault(")

    @property
    def destinations(self) -> tuple[str, ...]:
        """Where leads go: LEADS_DESTINATIONS, or its last good value where a deployed app has lost the setting.

        A lost setting must not send leads elsewhere; an alert reports it (`leads.sweep.configuration`). Storage is read
        only in that case.
        """
        if self.names_destinations or not self.is_deployed:
            return self.settings.destinations
        return self.ledger.last_destinations() or self.settings.destinations

    @cached_property
    def identity(self) -> Identity:
        """The maker of lead ids. Raises Misconfigured when the id key is lost."""
        return self.ledger.identity()

    def ring(self, lead_id: str, destination: str, delay: float = 0.0) -> None:
        """Ring for a delivery whose state is stored. A failure costs minutes, not the lead: the sweep rings later."""
        try:
            self.doorbell.ring(lead_id, destination, delay)
        except Exception as error:  # noqa: BLE001 - whatever broke, what is stored stands
            log.event("doorbell_failed", lead=lead_id, destination=destination, error=type(error).__name__)

    @staticmethod
    def _account(account: Account | None) -> Account:
        if account is None:
            raise Misconfigured(
                "AzureWebJobsStorage does not name a storage account.",
                "Set its connection string, or AzureWebJobsStorage__accountName with a managed identity.",
            )
        return account


@cache
def app() -> App:
    """The app of this process, made from its environment."""
    # The SDKs log every request at INFO, which would be paid for and says nothing that our events do not.
    for chatty in ("azure", "urllib3", "msal"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return App(read(os.environ), os.environ)
