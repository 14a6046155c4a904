"""Marketplace leads: every lead reaches the people and the CRM it belongs to, and none is lost.

The way of a lead, as folders in its order: `intake` makes a lead of bytes or a row and keeps it; `delivery` makes the
attempts that `retry` plans, through the modules in `destinations`, and `crm` is what several of those share; `sweep`
finishes what a crash left undone and sends the alerts. `store` holds what is kept, and the queue that rings; `messages`
makes what people read, and `mail` sends it. `operate` does what operators ask for, by the command (`operate/cli`) or
the page (`operate/page`).

At the top stand the vocabulary (`lead`, `contract`, `errors`), what people set (`settings`, `operators`, `routes`,
`marks`, `ncrontab`; `reader`, `enabled` and `problems` read it), the ways out (`transport`, `oauth`, `entra_errors`),
the marketplace's own list (`partner_center`, `offers`), `log` and `redact`, `app`, and the ways in
(`triggers`, `__main__`).
tests/test_house.py says who may import whom, and docs/adr/0009-rooms.md why.
"""

__version__ = "0.2.0"
