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
    problems: tuple[Problem, ...]

    @property
    def is_on(self) -> bool:
        """Whether the page offers it."""
        return bool(self.credentials.client_id or self.problems)


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
    return Settings(credentials, allow, key_opens, tuple(dict.fromkeys(reader.problems)))
