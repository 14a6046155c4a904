"""A lead of the stand-in's Dataverse as the form of Dynamics 365 Sales shows it: the columns, and the timeline."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dev.standins import Item, template
from dev.standins.dynamics.tables import Record

_LABELS = {
    "subject": "Topic",
    "jobtitle": "Job title",
    "companyname": "Company",
    "emailaddress1": "Email",
    "telephone1": "Business phone",
    "mobilephone": "Mobile phone",
    "address1_country": "Country",
    "leadqualitycode": "Rating",
    "leadsourcecode": "Lead source",
    "statecode": "Status",
    "donotemail": "Do not email",
    "donotphone": "Do not call",
    "donotbulkemail": "Do not bulk email",
    "createdon": "Created",
    "description": "Description",
}
_OPTIONS = {
    "leadqualitycode": {1: "Hot", 2: "Warm", 3: "Cold"},
    "leadsourcecode": {8: "Web"},
    "statecode": {0: "Open", 1: "Qualified", 2: "Disqualified"},
}
_ELSEWHERE = {"fullname", "firstname", "lastname", "leadid", "modifiedon", "versionnumber", "statuscode"}
"""In the title, or of no interest to a salesperson."""


def item(guid: str, lead: Record, others: Iterable[Record]) -> Item:
    """The lead with those of the `others` that hang on it: notes and tasks."""
    own = [one for one in others if guid in (one.get("_objectid_value"), one.get("_regardingobjectid_value"))]
    timeline = sorted(own, key=lambda one: int(one["versionnumber"]), reverse=True)
    names = [*_LABELS, *sorted(set(lead) - set(_LABELS) - _ELSEWHERE)]
    columns = [
        (_LABELS.get(name, name), _OPTIONS.get(name, {}).get(value, value))
        for name in names
        if (value := lead.get(name)) not in (None, "") and not name.startswith("_")
    ]
    steps = [
        (
            one.get("subject") or "",
            one.get("notetext") or one.get("description") or "",
            one["createdon"],
            "Note" if "_objectid_value" in one else "Task",
        )
        for one in timeline
    ]
    return Item(
        datetime.fromisoformat(max(one["modifiedon"] for one in (lead, *own))),
        str(lead.get("fullname") or lead.get("subject") or guid),
        f"a lead, with {len(own)} on its timeline" if own else "a lead",
        _RECORD.render(columns=columns, steps=steps),
    )


_RECORD = template(
    """{% extends "layout.html" %}
{% block style %}
body { padding: 16px; }
dd { white-space: pre-line; }
h2 { font-size: 15px; margin: 16px 0 4px; }
ol { list-style: none; border-left: 2px solid var(--rule); padding-left: 14px; display: grid; gap: 10px; }
ol p { white-space: pre-line; }
b { font-weight: 600; }
{% endblock %}
{% block body %}
<dl>{% for name, value in columns %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
{% if steps %}
<h2>Timeline</h2>
<ol>
{% for subject, text, at, kind in steps %}
<li><span class="soft">{{ kind }}, {{ at }}</span><br><b>{{ subject }}</b><p>{{ text }}</p></li>
{% endfor %}
</ol>
{% endif %}
{% endblock %}"""
)
