"""Leads out of files and old rows: Partner Center's Referrals export, Microsoft's former blob CSV, the watched table.

Neither CSV's columns are documented, so headers are matched without regard to case, spaces and punctuation, and what is
not known is kept as an extra field. A record becomes JSON in the shape of the HTTPS call: that is its raw, and its
content is its event, so the same record imported twice is one lead. Equal records of a file that name nobody are
numbered from the second on, since they may be of two customers.
"""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from leads.app import App
from leads.intake import accept, normalize, payload, times, watch
from leads.intake.times import Order
from leads.lead import Lead, Via
from leads.redact import mask_email, mask_name
from leads.store.ledger import BACKFILLED, GONE

RECORDS_A_CALL = 100
ROWS_A_CALL = 200
FILE_LIMIT = 64 * 1024 * 1024
"""Bytes of a file; Partner Center exports 5,000 records at most."""
CELL_LIMIT = 128 * 1024

_PERSON = {
    "firstName": "firstname givenname contactfirstname customerfirstname first",
    "lastName": "lastname surname familyname contactlastname customerlastname last",
    "email": "email emailaddress mail contactemail customeremail contactemailaddress customercontactemail emailid",
    "phone": "phone phonenumber telephone mobile contactphone customerphone contactphonenumber businessphone",
    "country": "country countryregion countrycode customercountry countryorregion location",
    "company": "company companyname organization organisation customer customername customercompany "
    " account accountname",
    "title": "jobtitle contacttitle customertitle position role",
}
_LEAD = {
    "leadSource": "leadsource source referralsource origin",
    "actionCode": "actioncode action leadaction calltoaction",
    "offerTitle": "offertitle offer offername offerdisplayname solution solutionname product productname",
    "productId": "productid offerid solutionid",
    "description": "description notes note comment comments message customernotes customermessage",
    "createdTime": "createdtime created createdat createdon createddate datecreated creationdate createddatetime date "
    "receiveddate received timestamp submitteddate",
}
_NAME = frozenset(
    {"name", "fullname", "contactname", "contact", "customercontact", "customercontactname", "contactfullname"}
)


_REFERRAL = "referralid"
_BUTTONS = {"contactme": "PLT", "getitnow": "INS", "testdrive": "StartTestDrive", "create": "Create"}
"""Microsoft's codes for the buttons that the column *Call to action* may name; its values are not documented."""
EQUAL = "equal record"
"""The extra field with the number of a record that names nobody and has equal ones before it in its file."""


class NotATable(Exception):
    """The file is not a CSV with a header, or the app may not read the table. The text says why, and quotes nothing of
    it.
    """


class AmbiguousDates(NotATable):
    """Nothing in the file says whether its dates are written day first or month first."""


def _fold(header: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKD", header.casefold()) if letter.isalnum())


_PERSON_BY = {alias: name for name, aliases in _PERSON.items() for alias in aliases.split()}
_LEAD_BY = {alias: name for name, aliases in _LEAD.items() for alias in aliases.split()}


def read(data: bytes, order: Order | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """The records of a CSV file in the shape of the HTTPS call, and headers that are not known.

    One date with a day above 12 says for the whole file how its dates are written; else `order` does. Dates that can
    be read in two ways are then written in ISO 8601. Raises NotATable, also where nothing says it.
    """
    if len(data) > FILE_LIMIT:
        raise NotATable(f"The file is larger than {FILE_LIMIT // 2**20} MB. Split it.")
    text = _text(data)
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t|", key=header.count)
    csv.field_size_limit(CELL_LIMIT)
    # Strict, since a quotation mark that is never closed would swallow the records behind it.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [row for row in reader if any(map(str.strip, row))]
    except csv.Error:
        where = f"Around line {reader.line_num} of the file a quotation mark is out of place, or a cell is very large."
        raise NotATable(f"{where} Correct that line, or export the file again.") from None
    if not rows:
        raise NotATable("The file is empty.")
    headers = [cell.strip() for cell in rows[0]]
    known = {*_PERSON_BY, *_LEAD_BY, *_NAME, _REFERRAL, "customerinfo", "userdetails"}
    if not any(_fold(name) in known for name in headers):
        raise NotATable(
            "No column of the first line is known. It has to hold headers such as Email, Company and Offer."
        )
    unknown = [name for name in headers if name and _fold(name) not in known]
    records = [_record(headers, row) for row in rows[1:]]
    _settle_dates(records, order)
    _number_equal(records)
    return records, unknown


def _settle_dates(records: Sequence[dict[str, Any]], order: Order | None) -> None:
    found = [(record, times.orders(record["createdTime"])) for record in records if "createdTime" in record]
    ambiguous = [record for record, orders in found if len(orders) == 2]
    settled = {one for _, orders in found if len(orders) == 1 for one in orders}
    if len(settled) == 1:
        (order,) = settled
    elif ambiguous and order is None:
        raise AmbiguousDates(
            "The dates of the file can be read day first or month first, and no day above 12 says which. "
            "Add --dates day-first or --dates month-first."
        )
    for record in ambiguous:
        moment = times.moment(record["createdTime"], order) if order else None
        if moment is not None:
            record["createdTime"] = moment.isoformat()


def _number_equal(records: Sequence[dict[str, Any]]) -> None:
    counts: Counter[bytes] = Counter()
    for record in records:
        body = _body(record)
        if len(body) > accept.BODY_LIMIT or accept.names_somebody(payload.read(body)):
            continue
        counts[body] += 1
        if counts[body] > 1:
            record[EQUAL] = str(counts[body])


def _body(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")


def _text(data: bytes) -> str:
    for encoding in ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252", "latin-1"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise NotATable("The file is not a text. Export it as CSV.")


def _record(headers: Sequence[str], row: Sequence[str]) -> dict[str, Any]:
    """One record; of several columns of one meaning the first that is filled counts, the others become extra fields."""
    person: dict[str, str] = {}
    record: dict[str, Any] = {}
    full_name = ""
    cells = [*row, *[""] * (len(headers) - len(row))]
    names = [*headers, *(f"column {number}" for number in range(len(headers) + 1, len(row) + 1))]
    for number, (header, cell) in enumerate(zip(names, cells, strict=True), 1):
        value, folded = cell.strip(), _fold(header)
        if not value:
            continue
        if folded in ("customerinfo", "userdetails"):
            record["customerInfo"] = value
        elif folded in _NAME and not full_name:
            full_name = value
        elif _PERSON_BY.get(folded, "") and _PERSON_BY[folded] not in person:
            person[_PERSON_BY[folded]] = value
        elif _LEAD_BY.get(folded, "") and _LEAD_BY[folded] not in record:
            record[_LEAD_BY[folded]] = value
            code = _BUTTONS.get(_fold(value)) if folded == "calltoaction" else None
            if code:
                record |= {"actionCode": code, header: value}
        else:
            _keep(record, header or f"column {number}", value)
    if full_name and not (person.get("firstName") or person.get("lastName")):
        first, _, last = full_name.partition(" ")
        person |= {"firstName": first, "lastName": last.strip()}
    return record | ({"userDetails": person} if person else {})


def _keep(record: dict[str, Any], header: str, value: str) -> None:
    """Keep a cell under its own header, but not under a name that would be taken for a field of the lead."""
    folded = _fold(header)
    name = f"column {header}" if folded in {*_PERSON_BY, *_LEAD_BY, *_NAME, "title"} else header
    while name in record:
        name += " (again)"
    record[name] = value


def _event(app: App, record: Mapping[str, Any]) -> str:
    """The event that a record is: its referral, else its content."""
    referral = next((str(value).strip() for key, value in record.items() if _fold(key) == _REFERRAL), "")
    return app.identity.of_referral(referral) if referral else app.identity.of_import(payload.canonical(_body(record)))


def take(
    app: App, records: Sequence[Mapping[str, Any]], now: datetime, *, yes: bool, force: bool
) -> list[dict[str, Any]]:
    """Say of each record what becomes of it, and with `yes` do so.

    `fate` is `new` or, when done, `taken`; `same` where a lead of that customer, offer and UTC day is there already and
    `force` is not given; `repeated` or `gone` where this record was imported before; or `unreadable`.
    """
    earlier: dict[str, list[Lead]] = {}
    events: set[str] = set()
    results = []
    for record in records:
        body, event = _body(record), _event(app, record)
        result, lead = _look(app, record, body, earlier, now, force=force)
        if result["fate"] == "new" and event in events:
            result["fate"] = "repeated"
        if result["fate"] == "new" and lead is not None:
            events.add(event)
            earlier.setdefault(lead.customer, []).append(lead)
            if yes:
                old = now - lead.created_at > timedelta(days=app.settings.backfill_days)
                receipt = accept.accept(app, (event, accept.raw_name(event, now)), Via.IMPORT, body, now, old=old)
                fate = "unreadable" if receipt.quarantined else "repeated" if receipt.repeated else "taken"
                result |= {"fate": fate, "lead": receipt.id}
        results.append(result)
    return results


def missed(record: Mapping[str, Any], result: Mapping[str, Any]) -> tuple[str, str]:
    """Offer and week (ISO 8601) of a record that never came by itself, by what `take` said of it."""
    week = f"{date.fromisoformat(result['day']):%G-W%V}" if record.get("createdTime") else "no date"
    return result["offer"] or "no offer", week


def _look(
    app: App,
    record: Mapping[str, Any],
    body: bytes,
    earlier: Mapping[str, Sequence[Lead]],
    now: datetime,
    *,
    force: bool,
) -> tuple[dict[str, Any], Lead | None]:
    """What would become of a record, and the lead it would be. `earlier` are those of the same call, by customer."""
    result = {
        "fate": "unreadable",
        "lead": "",
        "name": "",
        "email": "",
        "offer": "",
        "stage": "",
        "day": "",
        "issues": [],
    }
    if len(body) > accept.BODY_LIMIT:
        return result, None
    event = _event(app, record)
    try:
        fields = payload.read(body)
    except payload.NotALead:
        return result, None
    lead = normalize.normalize(fields, via=Via.IMPORT, arrived_at=now, stages=app.settings.stages)
    customer = app.identity.customer(normalize.email_key(lead.contact.email), event)
    lead = replace(lead, id=f"{customer}-{event}")
    result |= {
        "fate": "new",
        "name": mask_name(lead.contact.name),
        "email": mask_email(lead.contact.email),
        "offer": lead.offer_name,
        "stage": lead.stage.value,
        "day": f"{lead.created_at:%Y-%m-%d}",
        "issues": list(lead.issues),
    }
    seen = app.ledger.seen(event)
    if seen is not None:
        result |= {"fate": "gone" if seen.fate == GONE else "repeated", "lead": seen.lead_id}
        return result, lead
    dated = bool(record.get("createdTime"))
    there = [case.lead for case in app.ledger.customer(customer)]
    there += earlier.get(customer, ())
    same = next((other for other in there if _is_same(lead, other, dated=dated)), None)
    if same is not None and not force:
        result |= {"fate": "same", "lead": same.id}
    return result, lead


def _is_same(lead: Lead, other: Lead, *, dated: bool) -> bool:
    """Whether a lead of the same customer is of the same offer and UTC day; one without a day may be of any."""
    if dated and lead.created_at.date() not in (other.created_at.date(), other.arrived_at.date()):
        return False
    mine = {name.casefold() for name in (lead.offer, lead.offer_title) if name}
    its = {name.casefold() for name in (other.offer, other.offer_title) if name}
    return bool(mine & its) or not mine or not its


def take_rows(
    app: App, table: str, now: datetime, *, token: str, skip: int, yes: bool, rows_a_call: int = ROWS_A_CALL
) -> dict[str, Any]:
    """Look at some rows of a watched table, and with `yes` bring in those that were noted as older than the app.

    Returns how many `rows` have which fate, and `token` and `skip` for the next call; both are empty at the end. Raises
    NotATable for a table that is not watched: where the inbox is the app's own account, its other tables are ours.
    """
    if table.lower() not in (watched.lower() for watched in app.settings.inbox_tables):
        raise NotATable("It is not one of the tables in LEADS_INBOX_TABLES.")
    rows: dict[str, int] = {}
    try:
        page = next(app.inbox.pages(table, "", token), None)
    except Exception as error:
        from leads.operate import check

        # Whoever tells of it knows the app's own account only, and would send people there.
        error.add_note(check.of_inbox(app))
        raise
    if page is None:
        return {"rows": rows, "token": "", "skip": 0}
    for row in page.rows[skip : skip + rows_a_call]:
        fate = _row_fate(app, table, row, now, yes=yes)
        rows[fate] = rows.get(fate, 0) + 1
    if skip + rows_a_call < len(page.rows):
        return {"rows": rows, "token": token, "skip": skip + rows_a_call}
    return {"rows": rows, "token": page.token, "skip": 0}


def _row_fate(app: App, table: str, row: Mapping[str, Any], now: datetime, *, yes: bool) -> str:
    event = accept.event_of_row(app, table, row)
    seen = app.ledger.seen(event)
    if seen is not None and seen.fate != BACKFILLED:
        return seen.fate
    if not yes:
        return seen.fate if seen else "new"
    arrival = (event, accept.raw_name(event, now))
    old = seen is not None or watch.is_older_than_the_app(app, table, row, now)
    receipt = accept.accept(app, arrival, Via.TABLE, payload.row_bytes(row), now, bring_in=True, old=old)
    return "unreadable" if receipt.quarantined else "accepted" if receipt.repeated else "taken"
