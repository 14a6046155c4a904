"""What columns the stand-in's tables have, and what a column refuses.

Names, lengths and ranges of `lead` are from microsoft/CDM `crmCommon/Lead.cdm.json`; option values from
dynamics-365-customer-engagement `lead.md`; those of the other tables from the Dataverse table reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column: its type, the longest text, the range of a number, the values of an option set."""

    kind: str
    length: int = 0
    low: float = 0
    high: float = 0
    options: tuple[int, ...] = ()
    writable: bool = True


class Refusal(Exception):
    """A value that Dataverse refuses, with HTTP status, error code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def payload_error(entity_set: str, detail: str) -> Refusal:
    """The refusal of a body that OData cannot read (public code only)."""
    return Refusal(
        400,
        "0x80048d19",
        f"Error identified in Payload provided by the user for Entity :'{entity_set}', For more information on this "
        "error please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293  ---->  InnerException : "
        f"Microsoft.OData.ODataException: {detail}",
    )


def check(table: str, name: str, column: Column, value: Any) -> None:
    """Raise Refusal where the column of the table does not take the value. Null always clears a column."""
    if value is None:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    expected, good = {
        "text": ("Edm.String", isinstance(value, str)),
        "date": ("Edm.DateTimeOffset", isinstance(value, str)),
        "guid": ("Edm.Guid", isinstance(value, str)),
        "yes/no": ("Edm.Boolean", isinstance(value, bool)),
        "whole": ("Edm.Int32", number and value == int(value)),
        "decimal": ("Edm.Decimal", number),
        "option": ("Edm.Int32", number and value == int(value)),
    }[column.kind]
    if not good:
        raise payload_error(f"{table}s", f"Cannot convert the literal '{value}' to the expected type '{expected}'.")
    if column.kind == "text" and len(value) > column.length:
        raise Refusal(
            400,
            "0x80044331",
            f"A validation error occurred. The length of the '{name}' attribute of the '{table}' entity exceeded the "
            f"maximum allowed length of '{column.length}'.",
        )
    accepted = ",".join(str(option) for option in column.options)
    if column.kind == "option" and value not in column.options:
        raise Refusal(
            400,
            "0x8004431a",
            f"A validation error occurred. The value {value} of '{name}' on record of type '{table}' is outside the "
            f"valid range. Accepted Values: {accepted}",
        )
    if column.kind in {"whole", "decimal"} and column.high and not column.low <= value <= column.high:
        raise Refusal(
            400,
            "0x80044330",
            f"A validation error occurred. The value of '{name}' on record of type '{table}' is outside the valid "
            "range.",
        )


def _sized(sizes: dict[int, str]) -> dict[str, Column]:
    return {name: Column("text", length=size) for size, names in sizes.items() for name in names.split()}


def _of(kind: str, names: str, *, writable: bool = True) -> dict[str, Column]:
    return {name: Column(kind, writable=writable) for name in names.split()}


def _options(**values: range | tuple[int, ...]) -> dict[str, Column]:
    return {name: Column("option", options=tuple(options)) for name, options in values.items()}


def _address(number: int) -> dict[str, Column]:
    lengths = {
        250: "line1 line2 line3",
        100: "name",
        80: "city country",
        50: "county fax stateorprovince telephone1 telephone2 telephone3",
        20: "postalcode postofficebox",
        4: "upszone",
    }
    return _sized(
        {size: " ".join(f"address{number}_{name}" for name in names.split()) for size, names in lengths.items()}
    )


_SYSTEM = _of("date", "createdon modifiedon", writable=False) | _of("date", "overriddencreatedon")

LEAD = {
    **_sized(
        {
            2000: "description qualificationcomments",
            300: "subject",
            200: "websiteurl",
            150: "yomifirstname yomilastname yomimiddlename",
            100: "companyname emailaddress1 emailaddress2 emailaddress3 jobtitle salutation yomicompanyname",
            50: "fax firstname lastname middlename telephone1 telephone2 telephone3",
            20: "mobilephone pager sic",
        }
    ),
    **_address(1),
    **_address(2),
    **_of("yes/no", "confirminterest decisionmaker donotbulkemail donotemail donotfax donotphone donotpostalmail"),
    **_of("yes/no", "donotsendmm evaluatefit followemail participatesinworkflow"),
    **_of("date", "estimatedclosedate lastonholdtime lastusedincampaign"),
    **_of("date", "schedulefollowup_prospect schedulefollowup_qualify"),
    **{name: Column("decimal", low=0, high=1e12) for name in ("budgetamount", "estimatedamount", "estimatedvalue")},
    "revenue": Column("decimal", low=0, high=1e14),
    "numberofemployees": Column("whole", low=0, high=1_000_000),
    "importsequencenumber": Column("whole", low=-(2**31), high=2**31 - 1),
    **_options(
        leadsourcecode=range(1, 11),
        leadqualitycode=range(1, 4),
        statecode=range(3),
        statuscode=range(1, 8),
        preferredcontactmethodcode=range(1, 6),
        purchasetimeframe=range(5),
        initialcommunication=range(2),
        need=range(4),
        industrycode=range(1, 34),
        prioritycode=(1,),
    ),
    "fullname": Column("text", length=160, writable=False),
    "address1_composite": Column("text", length=1000, writable=False),
    "address2_composite": Column("text", length=1000, writable=False),
    **_SYSTEM,
}

NOTE = {
    **_sized({500: "subject", 100_000: "notetext", 255: "filename", 256: "mimetype", 10_000_000: "documentbody"}),
    **_of("yes/no", "isdocument"),
    **_SYSTEM,
}

_ACTIVITY = {
    **_sized({200: "subject", 2000: "description", 250: "category subcategory"}),
    **_of("date", "scheduledstart scheduledend actualstart actualend"),
    **_options(prioritycode=range(3), statecode=range(3), statuscode=range(1, 8)),
    "actualdurationminutes": Column("whole", low=0, high=2**31 - 1),
    **_SYSTEM,
}
TASK = {**_ACTIVITY, "percentcomplete": Column("whole", low=0, high=100)}
PHONE_CALL = {**_ACTIVITY, **_sized({200: "phonenumber"}), **_of("yes/no", "directioncode leftvoicemail")}

STATUS_OF_STATE = {0: (1, 2), 1: (3,), 2: (4, 5, 6, 7)}
"""The status reasons that each state of a lead allows; the first is its default."""
