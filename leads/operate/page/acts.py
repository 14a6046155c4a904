"""What operators do on the page: the operations of the command, each shown and asked before it changes anything.

What may be long becomes a job. Nobody's address ever stands in the address of a page, since all of it is POSTed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leads import enabled, redact
from leads.app import App
from leads.errors import Failure
from leads.intake.contact import email_key
from leads.lead import State
from leads.operate import audit, check, jobs, operations, quarantine, stories
from leads.operate.jobs import Job
from leads.operate.page import job_words, words
from leads.operate.page.session import Session
from leads.operate.page.views import Clock, Done, NotFound, View, Wish
from leads.operate.page.words import Notice, line
from leads.store.ledger import QUARANTINE, SWEEP, Case
from leads.store.protocol import Changed
from leads.sweep.cycle import figures

UPLOAD_LIMIT = 4 * 1024 * 1024
"""Bytes of an uploaded file: it is read whole, on a thread and in memory that intake shares."""
LINES = 10_000
"""Lines of an uploaded file; Partner Center exports 5,000 records at most. Reading so many takes a second."""
IDS = 100
"""Leads and entries that are discarded by id at once."""
ECHOED = 20_000
"""Characters of a text that is given back in its field."""
REFRESH = 3
"""Seconds after which a page that shows progress is asked for again."""

_STEPS = (
    ("", "Microsoft’s own test lead, as Validate sends it"),
    ("contact-me", "Contact me"),
    ("get-it-now", "Get it now"),
    ("create", "Create"),
    ("test-drive", "Test drive"),
    ("dnc", "Do not contact"),
)
_PARTS = {
    "settings": "can each be read?",
    "storage": "can the app write to tables, blobs and the queue? Everything else depends on it.",
    "inbox": "are the watched tables there? It depends on LEADS_INBOX.",
    "runs": "do watch and sweep run, and is a lead stuck? It depends on the storage.",
    "function key": "is a key asked for where leads come in?",
    "partner center": "does it let the app in? It depends on its settings.",
}


@dataclass(frozen=True, slots=True)
class File:
    """A download."""

    name: str
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form."""

    kind: str
    """`select`, `text`, `email`, `date`, `datetime-local`, `area`, `file`, `check` or `hidden`."""
    name: str
    label: str = ""
    hint: str = ""
    value: str = ""
    options: tuple[tuple[str, str], ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a page, and what its button says."""

    action: str
    button: str
    fields: tuple[Field, ...] = ()
    title: str = ""
    said: str = ""
    main: bool = True

    @property
    def uploads(self) -> bool:
        """Whether it is sent as parts: what is large would be refused otherwise."""
        return any(field.kind in ("file", "area") for field in self.fields)


@dataclass(frozen=True, slots=True)
class Act:
    """What is asked of the page, and by whom."""

    app: App
    wish: Wish
    session: Session
    now: datetime
    clock: Clock
    upload: bytes | None = None
    """The file that came with the form; None where there is none."""

    @property
    def rest(self) -> str:
        """What follows the first part of the address."""
        return self.wish.path.partition("/")[2]

    def given(self, name: str) -> str:
        """A field of the form, trimmed; in an address only what can be a destination."""
        return self.wish.form.get(name, "").strip()

    def perform(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """Perform an operation in the name of whoever is signed in."""
        return operations.perform(self.app, name, arguments, self.now, self.session.operator, self.session.way)

    def begin(self, kind: str, upload: bytes | None = None, **given: Any) -> View | Done:
        """Begin a job, and go to its page."""
        try:
            job = jobs.begin(
                self.app,
                kind,
                given,
                self.now,
                operator=self.session.operator,
                way=self.session.way,
                upload=upload,
            )
        except jobs.TooMany:
            said = f"{jobs.AT_ONCE} tasks are under way. Wait until one of them has finished, or stop one."
            return _hub(self, Notice(said, bad=True))
        return Done(f"jobs/{job.id}")

    def form(self, title: str, said: Sequence[str], *forms: Form, trouble: str = "", facts: Sequence[str] = ()) -> View:
        """A page with forms."""
        notice = Notice(trouble, bad=True) if trouble else None
        values = {"section": "jobs", "title": title, "said": said, "facts": facts, "forms": forms, "notice": notice}
        return View("form", values, 400 if trouble else 200)


def answer(act: Act) -> View | Done | File:
    """Show a page, or do what its form asks for. Raises NotFound."""
    name, _, rest = act.wish.path.partition("/")
    page = PAGES[name]
    if rest and name not in ("jobs", "test", "preview"):
        raise NotFound("There is no such page.")
    try:
        return page(act)
    except (Failure, operations.WrongUse) as error:
        cause, remedy = (error.cause, error.remedy) if isinstance(error, Failure) else (str(error), "")
        return View("failed", {"section": "jobs", "title": "It was not done", "cause": cause, "remedy": remedy}, 409)


def _places(act: Act, any_: str = "") -> tuple[tuple[str, str], ...]:
    """The destinations to choose from, also those that are removed and still have deliveries open."""
    whole = figures(act.app.ledger.note(SWEEP).values.get("figures"))
    names = dict.fromkeys((*act.app.destinations, *sorted(whole.waiting if whole else ())))
    first = (("", any_),) if any_ else ()
    return (*first, *((name, enabled.title(name)) for name in names))


def _destination(act: Act, any_: str = "") -> Field:
    asked = act.wish.query.get("destination", "")
    return Field("select", "destination", "Destination", options=_places(act, any_), value=asked)


def _since(act: Act, name: str = "since") -> str:
    """A day out of a form; empty where none was given. Raises WrongUse."""
    return act.given(name) if operations.since({name: act.given(name)}, name) else ""


def _case(act: Act, lead_id: str) -> Case:
    """A lead by its id, or by the second half of it. Raises NotFound."""
    ledger = act.app.ledger
    known = lead_id if stories.ID.fullmatch(lead_id) else ""
    if known and "-" not in known:
        seen = ledger.seen(known)
        known = seen.lead_id if seen else ""
    case = ledger.case(known) if "-" in known else None
    if case is None:
        raise NotFound("The app has no lead with this id.")
    return case


def _check(act: Act) -> View | Done:
    if act.wish.posted:
        return act.begin("check")
    parts = [
        f"{line(part if part in _PARTS else enabled.title(part))}: "
        f"{_PARTS.get(part, 'does it take what the app sends? It hangs on its settings.')}"
        for part in act.perform("checks")["parts"]
    ]
    said = ["Every part of the app is asked a harmless question, one after the other. Nothing is changed by it."]
    return act.form("Check", said, Form("check", "Check everything"), facts=parts)


def _test(act: Act) -> View | Done:
    from leads.operate import sample

    if act.rest:
        return _follow(act, act.rest)
    step, email = act.given("step"), act.given("email")
    title = "Send a test lead"
    form = Form(
        "test",
        "Go on",
        (
            Field("select", "step", "What the customer did", options=_STEPS, value=step),
            Field("email", "email", "Their address (not needed)", "Only for a step: mails to the customer go there."),
        ),
    )
    if not act.wish.posted:
        said = [
            "It comes in as if Microsoft had sent it, and you can follow it to every destination.",
            "Microsoft’s own test lead is marked as a test, so CRMs leave it out. A step is not: it goes to CRMs, too.",
        ]
        return act.form(title, said, form)
    if step not in ("", *sample.STEPS):
        return act.form(title, [], form, trouble="Choose what the customer did.")
    if act.given("yes"):
        return Done(f"test/{act.perform('send-test', step=step, email=email)['id']}")
    goes = act.perform("route", text=sample.body(step, email, act.now).decode())["destinations"]
    places = ", ".join(map(enabled.title, goes)) or "nobody: a route says so"
    said = [
        f"One lead, “{dict(_STEPS)[step]}”, would go to {places}.",
        "CRMs leave it out, since it is marked as a test." if not step else "It is not marked as a test.",
    ]
    fields = (Field("hidden", "yes", value="1"), Field("hidden", "step", value=step))
    return act.form(title, said, Form("test", "Send it", (*fields, Field("hidden", "email", value=email))))


def _follow(act: Act, lead_id: str) -> View:
    case = _case(act, lead_id)
    is_open = any(delivery.state == State.OPEN for delivery in case.deliveries)
    values = {
        "section": "jobs",
        "title": "The test lead is on its way" if is_open else "The test lead has arrived everywhere it goes",
        "lead": case.lead,
        "deliveries": case.deliveries,
        "is_open": is_open,
        "still": bool(act.wish.query.get("still")),
    }
    return View("sent", values, refresh=0 if values["still"] or not is_open else REFRESH)


def _waiting(act: Act) -> View | Done:
    if act.wish.posted and act.given("id"):
        return _one(act, hurry=True)
    if act.wish.posted:
        return act.begin("replay", state="open", destination=act.given("destination"))
    said = [
        "What could not be delivered waits for its next attempt, for up to a day.",
        "When you have corrected the cause, it need not wait.",
        "First you see how many there are.",
    ]
    return act.form("Try now what waits", said, Form("waiting", "Look", (_destination(act, "All destinations"),)))


def _replay(act: Act) -> View | Done:
    if act.wish.posted and act.given("id"):
        return _one(act)
    if act.wish.posted and act.given("name"):
        return _entry(act, act.given("name"))
    since, what, destination = _since(act), act.given("what"), act.given("destination")
    if act.wish.posted:
        if what == "routes" and since:
            return act.begin("reroute", since=since)
        if what == "quarantine":
            return act.begin("reread")
        if what == "missing" and destination:
            return act.begin("replay", state="", destination=destination, since=since)
        if what != "routes" and what != "missing":
            return act.begin("replay", state="dead", destination=destination, since=since)
    day = Field("date", "since", "Arrived since (not needed)")
    forms = (
        Form(
            "replay",
            "Look",
            (Field("hidden", "what", value="dead"), _destination(act, "All destinations"), day),
            "What died",
            "Deliveries that were given up. Correct their cause first.",
        ),
        Form(
            "replay",
            "Look",
            (Field("hidden", "what", value="missing"), _destination(act), day),
            "What never went there",
            "Leads of before a destination was added, and those that died there.",
        ),
        Form(
            "replay",
            "Look",
            (
                Field("hidden", "what", value="routes"),
                Field("date", "since", "Arrived since", required=True),
            ),
            "Let the routes decide again",
            "After a change of LEADS_ROUTES: what is new is sent, what is no longer chosen and still open is skipped.",
        ),
        Form(
            "replay",
            "Look",
            (Field("hidden", "what", value="quarantine"),),
            "Read the quarantine again",
            "After an update of the app, which may understand what an older version could not.",
        ),
    )
    trouble = "Say since when: the routes decide again about leads of a time." if act.wish.posted else ""
    return act.form(
        "Replay", ["First you see how many there are. Nothing is sent before you say yes."], *forms, trouble=trouble
    )


def _one(act: Act, *, hurry: bool = False) -> View | Done:
    """Replay one lead, or try what waits of it, to one destination where the form names it."""
    case, destination = _case(act, act.given("id")), act.given("destination")
    lead_id = case.lead.id
    if act.given("yes"):
        opened = act.perform("replay", id=lead_id, destination=destination, hurry=hurry)["opened"]
        return Done(f"leads/{lead_id}?done=replayed&n={opened}")
    states = {delivery.destination: delivery.state for delivery in case.deliveries}
    chosen = [name for name, state in states.items() if (state == State.OPEN) == hurry]
    if not hurry:
        chosen = [name for name in chosen if states[name] == State.DEAD] or chosen
    if destination:
        chosen = [destination] if destination not in states or (states[destination] == State.OPEN) == hurry else []
    places = [f"{enabled.title(name)} ({states.get(name, 'it never was on its way there')})" for name in chosen]
    if not places:
        return act.form("One lead", ["There is nothing to do: it is under way already, or finished."])
    fields = (
        Field("hidden", "yes", value="1"),
        Field("hidden", "id", value=lead_id),
        Field("hidden", "destination", value=destination),
    )
    if hurry:
        said = [f"What waits of this lead would be tried now: {', '.join(places)}."]
        return act.form("Try one lead now", said, Form("waiting", "Try now", fields))
    said = [
        f"This lead would be sent again to {', '.join(places)}.",
        "A CRM gets no second record; a notification is sent again.",
    ]
    return act.form("Replay one lead", said, Form("replay", "Replay", fields))


def _entry(act: Act, name: str) -> View | Done:
    """Read one entry of the quarantine again. Raises NotFound."""
    blob = act.app.store.get_blob(QUARANTINE, name) if quarantine.NAME.fullmatch(name) else None
    if blob is None:
        raise NotFound("There is nothing with this name in quarantine. It may have been replayed.")
    if act.given("yes"):
        lead_id = act.perform("replay-quarantined", name=name)["id"]
        return Done(f"leads/{lead_id}?done=taken" if lead_id else f"quarantine/{name}?done=unreadable")
    entry = quarantine.entry(name, blob.metadata)
    said = [
        f"One entry of {words.some(entry.size, 'byte')} would be read again. {line(entry.reason)}".strip(),
        "If it can be read as a lead now, it goes wherever a new lead goes. If not, it stays where it is.",
    ]
    fields = (Field("hidden", "yes", value="1"), Field("hidden", "name", value=name))
    return act.form("Read one entry again", said, Form("replay", "Read it again", fields))


def _skip(act: Act) -> View | Done:
    if act.wish.posted and act.given("destination"):
        return act.begin("skip", destination=act.given("destination"))
    said = [
        "Ends deliveries that are still open, such as those to a destination that is not wanted any more.",
        "They are not sent, and count as skipped.",
        "First you see how many there are.",
    ]
    return act.form("Skip what waits", said, Form("skip", "Look", (_destination(act),)))


def _discard(act: Act) -> View | Done:
    trouble = ""
    if act.wish.posted and act.given("what") == "quarantine":
        return act.begin(
            "discard-quarantined", since=_since(act), before=act.now.isoformat(), reason=act.given("reason")[:200]
        )
    if act.wish.posted and act.given("what") == "leads":
        since, until, offer = _since(act), _since(act, "until"), act.given("offer")[:200]
        if since or until or offer:
            # What comes after this look is not shown, and stays.
            ends = min(filter(None, (operations.since({"until": until}, "until"), act.now)))
            return act.begin("discard-leads", since=since, until=ends.isoformat(), offer=offer)
        trouble = "Say of what offer, or of what time: all leads at once are never meant."
    elif act.wish.posted:
        ids = list(dict.fromkeys(act.given("ids").split()))
        known = [each for each in ids if stories.ID.fullmatch(each) or quarantine.NAME.fullmatch(each)]
        if known and known == ids and len(ids) <= IDS:
            return act.begin("discard", ids=ids)
        trouble = (
            f"Give up to {IDS} ids of leads or names of entries, one a line. To erase a whole customer, use Forget."
        )
    forms = (
        Form(
            "discard",
            "Look",
            (
                Field("hidden", "what", value="quarantine"),
                Field("date", "since", "Came since (not needed)"),
                Field("text", "reason", "A part of the reason (not needed)"),
            ),
            "From the quarantine",
            "Such as what strangers sent. A row or a lead that this version could not read stays.",
        ),
        Form(
            "discard",
            "Look",
            (
                Field("hidden", "what", value="leads"),
                Field("datetime-local", "since", "Arrived since, in UTC (not needed)"),
                Field("datetime-local", "until", "Arrived before, in UTC (not needed)"),
                Field("text", "offer", "A part of the offer’s title or id (not needed)"),
            ),
            "Leads of a time or an offer",
            "Such as those of a flood. Each lead, its deliveries and its bytes are erased.",
        ),
        Form(
            "discard",
            "Look",
            (Field("area", "ids", "Ids of leads, or names of entries of the quarantine, one a line", required=True),),
            "By id",
            "The lead, its deliveries and its bytes are erased. You delete yourself what stands in a CRM; it is named.",
        ),
    )
    return act.form("Discard", ["First you see what it is. It cannot be undone."], *forms, trouble=trouble)


def _customer(act: Act) -> View | Done:
    who, trouble = act.given("who"), ""
    if act.wish.posted:
        if len(who) < 400 and (quarantine.NAME.fullmatch(who) or stories.ID.fullmatch(who) or email_key(who)):
            return act.begin("customer", who=who)
        trouble = "Give an e-mail address, a lead id, or the name of an entry of the quarantine."
    said = [
        "Finds everything that is kept of a customer, to give it to them or to erase it (GDPR, articles 15 and 17).",
        "First you see what there is. The address stands in no log and in no address of a page.",
    ]
    field = Field(
        "text", "who", "The customer’s e-mail address", "Or a lead id, or the name of an entry.", required=True
    )
    return act.form("Forget or export a customer", said, Form("customer", "Find", (field,)), trouble=trouble)


def _import(act: Act) -> View | Done:
    trouble = ""
    if act.wish.posted and act.given("table"):
        return act.begin("import-table", table=act.given("table"))
    if act.wish.posted:
        trouble = _unreadable(act.upload)
        if not trouble:
            return act.begin("import", act.upload, force=bool(act.given("force")))
    upload = Form(
        "import",
        "Upload and look",
        (
            Field(
                "file",
                "file",
                "The CSV file",
                f"{UPLOAD_LIMIT // 2**20} MB and {LINES:,} lines at most.",
                required=True,
            ),
            Field("check", "force", "Also what has customer, offer and day of a lead that is here"),
        ),
        "A file",
        "Such as Partner Center’s export of referrals. It is kept until the task has ended, and then deleted.",
    )
    tables = (
        Form(
            "import",
            f"Look at {table}",
            (Field("hidden", "table", value=table),),
            f"Old rows of {table}",
            "Rows that were there before the app are noted and not delivered. This brings them in.",
            main=False,
        )
        for table in act.app.settings.inbox_tables
    )
    said = ["First you see what would become of each record. Nothing comes in before you say yes."]
    return act.form("Import", said, upload, *tables, trouble=trouble)


def _unreadable(upload: bytes | None) -> str:
    """Why an uploaded file cannot be imported; empty where it can. How its dates are written is asked later."""
    from leads.operate import importing

    if not upload:
        return "Choose a file that is not empty."
    if max(upload.count(b"\n"), upload.count(b"\r")) > LINES:
        return f"It has more than {LINES:,} lines. Split it, each part with the first line of the whole."
    try:
        importing.read(upload)
    except importing.AmbiguousDates:
        return ""
    except importing.NotATable as error:
        return str(error)
    return ""


def _routes(act: Act) -> View | Done:
    from leads import routes

    app = act.app
    made = routes.parse(app.settings.routes, app.destinations)
    lead_id, text = act.given("id"), act.given("text")
    values: dict[str, Any] = {
        "section": "jobs",
        "title": "Routes",
        "written": bool(app.settings.routes),
        "kept": app.routes.routes if made.problems else (),
        "routes": made.routes,
        "problems": made.problems,
        "destinations": app.destinations,
        "tried": None,
        "change": None,
        "lead_id": "",
        "by_id": Form("routes", "Try this lead", (Field("text", "id", "A lead id", value=lead_id, required=True),)),
        "by_text": Form(
            "routes",
            "Try this text",
            (Field("area", "text", "A lead in JSON, as Microsoft sends it", value=text[:ECHOED], required=True),),
        ),
    }
    if act.wish.posted and lead_id and act.given("yes"):
        done = act.perform("reroute", id=lead_id, yes=True)
        return Done(f"leads/{lead_id}?done=replayed&n={len(done['new'])}" if done["known"] else "routes")
    if act.wish.posted and (lead_id or text):
        try:
            values["tried"] = act.perform("route", **({"id": lead_id} if lead_id else {"text": text}))
        except operations.WrongUse as error:
            return View("routes", values | {"notice": Notice(str(error), bad=True)}, 400)
        if not values["tried"]:
            return View("routes", values | {"notice": Notice("There is no lead with this id.", bad=True)}, 404)
        if lead_id:
            values |= {"change": act.perform("reroute", id=lead_id), "lead_id": lead_id}
    return View("routes", values)


def _preview(act: Act) -> View:
    lead_id = _case(act, act.rest).lead.id
    destination, trouble, text = act.given("destination"), "", ""
    if act.wish.posted:
        try:
            text = act.perform("preview", id=lead_id, destination=destination)["text"]
        except Failure as failure:
            trouble = f"{failure.cause} {failure.remedy}"
    places = tuple((name, enabled.title(name)) for name in act.app.destinations)
    field = Field("select", "destination", "Destination", options=places, value=destination)
    values = {
        "section": "leads",
        "title": "What would be sent",
        "lead_id": lead_id,
        "form": Form(f"preview/{lead_id}", "Show it", (field,)),
        "text": "\n".join(words.line(each, 2000) for each in text.split("\n")[:400]),
        "notice": Notice(trouble, bad=True) if trouble else None,
    }
    return View("preview", values, 409 if trouble else 200)


def _sessions(act: Act) -> View | Done:
    if act.wish.posted:
        act.perform("sign-out-all")
        return Done("")
    said = [
        "Whoever uses the page has to sign in again, you as well: such as after somebody left who had the key.",
        "The key of the function ops stays as it is. To take it away, renew it in the Azure portal first.",
    ]
    return act.form("Sign everybody out", said, Form("sessions", "Sign everybody out"))


def _jobs(act: Act) -> View | Done | File:
    if not act.rest:
        return _hub(act)
    job = jobs.read(act.app, act.rest, act.now)
    if job is None:
        raise NotFound("There is no such task. It may have finished some days ago.")
    if act.wish.posted:
        return _order(act, job)
    return _job(act, jobs.go_on(act.app, job.id, act.now) or job)


def _order(act: Act, job: Job) -> View | Done | File:
    """What a button of a job's page asks for."""
    order = act.given("do")
    try:
        if order in ("json", "html"):
            return _download(act, job, order)
        if order == "drop":
            jobs.drop(act.app, job, act.now)
        elif order in ("day-first", "month-first"):
            jobs.say_dates(act.app, job, order, act.now)
        elif order in ("export", "forget") and job.kind == "customer":
            if act.given("again").casefold() != str(job.given.get("who", "")).casefold():
                said = "This is not the same as what you entered at first. Type it again."
                return _job(act, job, Notice(said, bad=True))
            jobs.say_yes(act.app, job, act.now, act.session.operator, act.session.way, order=order)
        elif order == "yes" and job.kind != "customer":
            jobs.say_yes(act.app, job, act.now, act.session.operator, act.session.way)
    except Changed:
        said = "The task has moved on since this page showed it. Look at it as it is now."
        return _job(act, jobs.read(act.app, job.id, act.now) or job, Notice(said, bad=True))
    except jobs.Gone as error:
        return _job(act, job, Notice(str(error), bad=True))
    return Done(f"jobs/{job.id}")


def _download(act: Act, job: Job, form: str) -> File:
    """What was found of a customer: for the customer after an export, else for whoever deletes by hand."""
    from leads.operate.export import page

    answers = jobs.result(act.app, job)
    if any(one.get("records") for one in answers):
        # Whoever comes within the hour can have it, and need not be whoever exported it.
        found = {lead for one in answers for lead in (*one["leads"], *one["quarantine"])}
        audit.done("download", act.session.operator, str(job.given.get("who", "")), len(found), act.session.way)
    if job.given.get("order") != "export":
        lists = ("by_hand", "mentioned_in", "unsearched", "leads", "quarantine")
        whole = {name: _once(each for one in answers for each in one.get(name, ())) for name in lists}
        return File("by-hand.json", "application/json", json.dumps(whole, indent=2).encode())
    records = _once(each for one in answers for each in one.get("records", ()))
    made = f"{job.changed_at:%Y-%m-%d %H:%M} UTC"
    who = next((each for one in answers for each in one.get("who", ())), "")
    content = {"customer": who, "made": made, "records": records}
    if form == "html":
        return File("customer.html", "text/html", page(content).encode("utf-8", "replace"))
    return File("customer.json", "application/json", json.dumps(content, indent=2).encode())


def _once(items: Any) -> list[Any]:
    """Each item once, in order."""
    return [json.loads(text) for text in dict.fromkeys(json.dumps(item) for item in items)]


def _job(act: Act, job: Job, notice: Notice | None = None) -> View:
    told = job_words.told(job)
    done, of = job_words.progress(job)
    still = bool(act.wish.query.get("still"))
    who = str(job.given.get("who", ""))
    values = {
        "section": "jobs",
        "title": told.title,
        "told": told,
        "job": job,
        "phase": job_words.PHASES[job.phase],
        "done": done,
        "of": of,
        "still": still,
        "sorts": _sorts(job),
        "checked": _checked(job),
        "who": redact.mask_email(who) if "@" in who else line(who),
        "kept_until": job.changed_at + jobs.KEPT,
        "downloads": job.phase == jobs.DONE and bool(job.parts),
        "ordered": str(job.given.get("order", "")),
        "notice": notice,
    }
    return View("job", values, 409 if notice else 200, refresh=REFRESH if job.is_under_way and not still else 0)


def _sorts(job: Job) -> dict[str, list[Mapping[str, Any]]]:
    """What a job lists, by sort, all of it plain."""
    names = ("by hand", "unsearched", "mentioned", "columns", "missed", "record", "lead", "entry", "thing")
    sorts: dict[str, list[Mapping[str, Any]]] = {name: [] for name in names}
    for each in job.shown:
        plain = {name: line(value, 300) if isinstance(value, str) else value for name, value in each.items()}
        sorts.setdefault(str(plain["sort"]), []).append(plain)
    return sorts


def _checked(job: Job) -> list[tuple[str, list[check.Result]]]:
    """What a check found, by part, in the order in which they were asked."""
    parts: dict[str, list[check.Result]] = {}
    for each in job_words.looked(job) if job.kind == "check" else ():
        parts.setdefault(each.part, []).append(each)
    return [(name.capitalize() if name in _PARTS else enabled.title(name), found) for name, found in parts.items()]


def _hub(act: Act, notice: Notice | None = None) -> View:
    recent = [
        {
            "id": job.id,
            "title": job_words.told(job).title,
            "said": next(iter(job_words.told(job).said), ""),
            "operator": line(job.operator, 80),
            "at": job.changed_at,
            "phase": job_words.PHASES[job.phase],
        }
        for job in jobs.every(act.app)[: jobs.LISTED]
    ]
    values = {"section": "jobs", "title": "Tasks", "recent": recent, "tasks": _TASKS, "notice": notice}
    return View("jobs", values, 409 if notice else 200)


_TASKS = (
    ("check", "Check", "Is every part in order? Whatever is not is shown with its cause and remedy."),
    ("test", "Send a test lead", "And follow it to every destination."),
    ("waiting", "Try now what waits", "After you corrected what kept deliveries waiting."),
    (
        "replay",
        "Replay",
        "What died, what never went to a destination, or what the current routes would send elsewhere.",
    ),
    ("skip", "Skip what waits", "End deliveries to a destination that is not wanted any more."),
    ("discard", "Discard", "Entries of the quarantine, or leads, that nobody needs."),
    ("customer", "Forget or export a customer", "A request under the GDPR, from the address to the last record."),
    ("import", "Import", "Leads from a CSV file, or old rows of the table."),
    ("routes", "Routes", "How they are understood, and where a lead would go."),
    ("sessions", "Sign everybody out", "After somebody who had the key has left."),
)

PAGES: Mapping[str, Callable[[Act], View | Done | File]] = {
    "check": _check,
    "customer": _customer,
    "discard": _discard,
    "import": _import,
    "jobs": _jobs,
    "preview": _preview,
    "replay": _replay,
    "routes": _routes,
    "sessions": _sessions,
    "skip": _skip,
    "test": _test,
    "waiting": _waiting,
}
