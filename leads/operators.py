"""Who may use the operators' page by signing in with Microsoft: the settings, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leads import oauth
from leads.reader import Problem, Reader, Setting

PREFIX = "OPERATORS"
SETTINGS = (
    *oauth.settings(PREFIX),
    Setting(
        "OPERATORS_ALLOW",
        "Who may use the page by signing in with Microsoft: object ids or sign-in names. Empty: nobody",
    ),
    Setting("OPERATORS_KEY", "`off`: the page takes no key any more, only Microsoft's sign-in", "on"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Who may come in, and how."""

    credentials: oauth.Credentials
    allow: frozenset[str]
    """Object ids and sign-in names in lower case."""
    key_opens: bool
    """Whether the key of `ops` opens the page, too."""
    is_on: bool
    """Whether the page offers to sign in with Microsoft."""
    problems: tuple[Problem, ...]


def read(environ: Mapping[str, str]) -> Settings:
    """Read the settings. Whatever stands in OPERATORS_KEY but `on` switches the key off."""
    reader = Reader(environ, SETTINGS)
    allow = frozenset(each.casefold() for each in reader.items("OPERATORS_ALLOW"))
    key_opens = reader.text("OPERATORS_KEY", "on").lower() == "on"
    # A settings file may hold the defaults of all.
    wanted = any(
        reader.text(setting.name, setting.default) != setting.default
        for setting in SETTINGS
        if setting.name != "OPERATORS_KEY"
    )
    credentials = oauth.read(reader, PREFIX) if wanted else oauth.Credentials()
    if wanted and not reader.is_set("OPERATORS_CLIENT_ID"):
        reader.problem("OPERATORS_CLIENT_ID", "It is not set.", "Paste it from the overview of the app registration.")
    if wanted and not oauth.GUID.fullmatch(credentials.tenant_id):
        reader.problem(
            "OPERATORS_TENANT_ID",
            "It must be a GUID, since each sign-in is compared with it.",
            "Paste the directory (tenant) id from the overview of the app registration.",
        )
    if not key_opens and not wanted:
        reader.problem(
            "OPERATORS_KEY",
            "It switches the key off, and signing in with Microsoft is not set up: nobody can open the page.",
            "Take it out, or set up the sign-in as docs/page.md says.",
        )
    if not key_opens and wanted and not allow:
        reader.problem(
            "OPERATORS_ALLOW",
            "It is empty, and OPERATORS_KEY switches the key off: nobody can open the page.",
            "Name who may use it, by object id or sign-in name.",
        )
    return Settings(credentials, allow, key_opens, wanted, tuple(dict.fromkeys(reader.problems)))


def rule(environ: Mapping[str, str], way: str) -> str:
    """Who may come in by a way, `key` or `microsoft`, in one text: a session ends where it says something else."""
    settings = read(environ)
    if way == "microsoft":
        return "\n".join((settings.credentials.tenant_id, settings.credentials.client_id, *sorted(settings.allow)))
    return str(settings.key_opens)
