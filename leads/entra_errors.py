"""What a refused sign-in means and what to do: answers of Entra and of the managed identity endpoint, in plain words.

Microsoft warns that clients must not depend on AADSTS numbers (entra-docs `reference-error-codes.md`): the outcome
comes from HTTP status and OAuth error, and a number only chooses the words.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from leads.errors import Failure, Misconfigured, Transient
from leads.redact import safe
from leads.transport import Response, refusal

_PORTAL = "in the Azure portal under App registrations > Certificates & secrets"
_WRONG_RESOURCE = (
    "The service that the token is for is unknown to the tenant.",
    "Check the service's URL, and that it belongs to the tenant in {prefix}_TENANT_ID.",
)
_CLOUD = (
    "The sign-in went to a different cloud from the tenant's.",
    "Set {prefix}_AUTHORITY to the tenant's cloud, such as https://login.microsoftonline.us for US Government.",
)
_MALFORMED_TENANT = (
    "The tenant id is malformed.",
    "Set {prefix}_TENANT_ID to the Directory (tenant) ID, a GUID, from the app registration's overview.",
)
_FEDERATION = (
    "The app registration has no federated credential that fits the function app's managed identity.",
    f"Add one {_PORTAL}: the issuer is the identity's tenant, the subject its object id.",
)
_SCOPE = ("The scope that the token is for is not valid.", "Check the service's URL: scheme and host, without a path.")
_CERTIFICATE = (
    "The certificate is not registered on the app registration, or it has expired.",
    f"Upload the public part of the certificate in {{prefix}}_CERTIFICATE {_PORTAL}.",
)

_HELP: dict[int, tuple[str, str]] = {
    90002: (
        "The tenant was not found.",
        "Check {prefix}_TENANT_ID, and that {prefix}_AUTHORITY is the authority of the tenant's cloud.",
    ),
    900023: _MALFORMED_TENANT,
    90013: _MALFORMED_TENANT,
    90019: _MALFORMED_TENANT,
    700016: (
        "The application was not found in the tenant.",
        "Check {prefix}_CLIENT_ID, and that the app registration is in the tenant of {prefix}_TENANT_ID.",
    ),
    7000215: (
        "The client secret is wrong.",
        f"Put the secret's Value, not its Secret ID, into {{prefix}}_CLIENT_SECRET; make a new one {_PORTAL}.",
    ),
    7000222: (
        "The client secret has expired.",
        f"Make a new one {_PORTAL} and put its Value into {{prefix}}_CLIENT_SECRET. A managed identity never expires.",
    ),
    7000112: (
        "The application is disabled.",
        "Enable the application in {prefix}_CLIENT_ID in the Azure portal under Enterprise applications.",
    ),
    700027: _CERTIFICATE,
    7000214: _CERTIFICATE,
    500011: _WRONG_RESOURCE,
    50001: _WRONG_RESOURCE,
    70011: _SCOPE,
    28002: _SCOPE,
    900382: _CLOUD,
    900432: _CLOUD,
    70021: _FEDERATION,
    700211: _FEDERATION,
    700213: _FEDERATION,
    700212: _FEDERATION,
}
_PASSING = frozenset({90055, 90006, 90012, 90024, 90033, 90090})
_PASSING_ERRORS = frozenset({"temporarily_unavailable", "server_error"})
_AGAIN = "The app tries again by itself."


def of_entra(answer: Response, prefix: str) -> Failure:
    """The failure that an answer of Entra without a usable token or discovery document means.

    `prefix` is that of the settings to change: `EMAIL_GRAPH`.
    """
    found = re.search(rb"AADSTS(\d{1,9})", answer.body)
    number = int(found[1]) if found else 0
    document = answer.json()
    fields = document if isinstance(document, dict) else {}
    error = str(fields.get("error", ""))
    detail = f"({answer.status}{f' AADSTS{number}' if number else ''})"
    passing = refusal(answer, "Microsoft Entra", datetime.now(UTC), detail.strip("()"))
    if passing:
        return passing
    if answer.status < 400 or error in _PASSING_ERRORS or number in _PASSING:
        return Transient(f"Microsoft Entra gave no usable answer {detail}.", _AGAIN)
    if number in _HELP:
        cause, remedy = _HELP[number]
        return Misconfigured(f"The sign-in was refused: {cause} {detail}", remedy.format(prefix=prefix))
    words = safe(str(fields.get("error_description", "")), 200)
    return Misconfigured(
        f"The sign-in was refused {detail}. {words}".strip(),
        f"Check {prefix}_TENANT_ID, {prefix}_CLIENT_ID and {prefix}_CLIENT_SECRET; look the number up at "
        "https://login.microsoftonline.com/error.",
    )


def of_identity(answer: Response, prefix: str) -> Failure:
    """The failure that an answer of the managed identity endpoint without a token means."""
    detail = f"({answer.status})"
    # msal's authors found that App Service answers an unknown resource with 500.
    again = f"{_AGAIN} If it keeps failing, the URL of the service that the token is for may be wrong."
    passing = refusal(answer, "The managed identity endpoint", datetime.now(UTC))
    if passing:
        passing.remedy = again
        return passing
    if answer.status < 400:
        return Transient(f"The managed identity endpoint gave no usable answer {detail}.", again)
    return Misconfigured(
        f"The managed identity got no token {detail}.",
        "Check that the identity is assigned to the function app, and that "
        f"{prefix}_MANAGED_IDENTITY_CLIENT_ID is its client id; without one the system-assigned identity is used. "
        "Restart the app after a change.",
    )
