"""Marketplace leads: every lead reaches the people and the CRM it belongs to, and none is lost.

The way of a lead, in the order of reading: `triggers` is what each function of function_app.py does; `web` and `watch`
bring leads in; `payload` and `normalize` (with `jsontext`, `contact`, `countries`, `times`) make a `lead` of them;
`intake` keeps it in the `ledger` and rings the `doorbell`; `delivery` makes the attempts that `retry` plans, through
the modules in `destinations`; `sweep` finishes what a crash left undone, `concerns` and `alerts` tell of trouble,
`purge` ends it. `app` puts the parts together.

Below: `store` (what storage has to do), `azure_store` and `azure_inbox` (Azure), `memory` (the twins for tests),
`rows`, `identity`; `transport` and `oauth` are the only ways out; `settings`, `errors`, `log` and `redact` are for all.

Above: `ops` is what operators ask and order (with `listing`, `replaying`, `quarantine`, `erasure`, `importing`,
`check`); `operations` names it for the command (`__main__`, `cli_*`, `remote`), the API (`ops_api`, `ops_json`) and the
page (`ops_web`, `ops_page` and their like). `notification` decides what a message says, in the words of `languages`.
"""

__version__ = "0.1.0"
