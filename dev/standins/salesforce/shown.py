"""A lead of the stand-in as its page in Salesforce shows it: the details, and the activity history."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dev.standins import Item, template
from dev.standins.salesforce.objects import Record

_LABELS = {
    "Company": "Company",
    "Title": "Title",
    "Email": "Email",
    "Phone": "Phone",
    "Website": "Website",
    "Country": "Country",
    "CountryCode": "Country",
    "LeadSource": "Lead Source",
    "Status": "Lead Status",
    "Rating": "Rating",
    "HasOptedOutOfEmail": "Email Opt Out",
    "DoNotCall": "Do Not Call",
    "Description": "Description",
}
_ELSEWHERE = {"Id", "FirstName", "LastName", "IsDeleted", "IsConverted", "MasterRecordId", "LastModifiedDate"}


def item(lead: Record, tasks: Iterable[Record]) -> Item:
    """The lead with those of the tasks that hang on it, or on the contact that it became."""
    own = [task for task in tasks if task.get("WhoId") in (lead["Id"], lead.get("ConvertedContactId"))]
    names = [*_LABELS, *sorted(set(lead) - set(_LABELS) - _ELSEWHERE)]
    details = [(_LABELS.get(name, name), lead[name]) for name in names if lead.get(name) not in (None, "")]
    name = " ".join(filter(None, (lead.get("FirstName"), lead.get("LastName"))))
    return Item(
        datetime.fromisoformat(max(one["LastModifiedDate"] for one in (lead, *own))),
        name or lead["Id"],
        f"a lead, with {len(own)} in its activity history" if own else "a lead",
        _PAGE.render(details=details, tasks=sorted(own, key=lambda task: str(task["Id"]), reverse=True)),
    )


_PAGE = template(
    """{% extends "layout.html" %}
{% block style %}
body { padding: 16px; }
dd, ol p { white-space: pre-line; }
h2 { font-size: 15px; margin: 16px 0 4px; }
ol { list-style: none; border-left: 2px solid var(--rule); padding-left: 14px; display: grid; gap: 10px; }
b { font-weight: 600; }
{% endblock %}
{% block body %}
<dl>{% for name, value in details %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
{% if tasks %}
<h2>Activity History</h2>
<ol>
{% for task in tasks %}
<li><span class="soft">{{ task.Status }}, {{ task.ActivityDate }}</span><br><b>{{ task.Subject }}</b>
<p>{{ task.Description }}</p></li>
{% endfor %}
</ol>
{% endif %}
{% endblock %}"""
)
