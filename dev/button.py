"""The links of the Deploy button for the repository that this lies in: `make button REPO=owner/name` prints them.

The portal fetches the template and the form in the browser, so their host has to allow that: raw.githubusercontent.com
does, and the files of a release do not (Azure/bicep, discussion 7756). The links name the tag of this version, so that
nothing changes under people. The form names the package of that release, so it is written anew: commit it before you
set the tag.

    python -m dev.button owner/name              # writes infra/form.json and prints the links
    python -m dev.button --check owner/name TAG  # whether the form and the version are those of this tag
"""

from __future__ import annotations

import re
import sys
from urllib.parse import quote

from dev.form import FORM
from leads import __version__

PORTAL = "https://portal.azure.com/#create/Microsoft.Template/uri/"
TAG = f"v{__version__}"
USAGE = "Say whose repository it is: make button REPO=owner/name"


def package(repository: str) -> str:
    """The address of the package in the release of this version."""
    return f"https://github.com/{repository}/releases/download/{TAG}/released-package.zip"


def raw(repository: str, file: str) -> str:
    """The address of a file of infra/ at this version's tag, percent-encoded as a part of the portal's links."""
    return quote(f"https://raw.githubusercontent.com/{repository}/{TAG}/infra/{file}", safe="")


def links(repository: str) -> dict[str, str]:
    """The links that deploy and upgrade."""
    return {
        "Deploy": f"{PORTAL}{raw(repository, 'main.json')}/uiFormDefinitionUri/{raw(repository, 'form.json')}",
        "Upgrade": f"{PORTAL}{raw(repository, 'upgrade.json')}",
    }


def stamped(written: str, address: str) -> str:
    """The form with this address of a package. Raises ValueError where it has no place for one."""
    text, count = re.subn(
        r'("name": "packageUri",\s*"type": "[^"]*",\s*"label": "[^"]*",\s*"defaultValue": ")[^"]*',
        lambda found: found[1] + address,
        written,
    )
    if count != 1:
        raise ValueError("infra/form.json has no place for the address of a package: run python -m dev.settings.")
    return text


def wrong(repository: str, tag: str, written: str) -> list[str]:
    """What keeps a tag from being released, in words."""
    found = [] if tag == TAG else [f"The tag is {tag}, and the version in leads/__init__.py is {__version__}."]
    if stamped(written, package(repository)) != written:
        found.append(f"The form names another package: run make button REPO={repository}, and commit infra/form.json.")
    return found


def main(arguments: list[str]) -> str:
    """What to print. Raises SystemExit where the use is wrong, and where a check finds something."""
    check = arguments[:1] == ["--check"]
    repository, *more = arguments[1:] if check else [*arguments, ""][:1]
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", repository) or len(more) != check:
        raise SystemExit(USAGE)
    written = FORM.read_text("utf-8")
    if check:
        raise SystemExit("\n".join(wrong(repository, more[0], written)) or 0)
    FORM.write_text(stamped(written, package(repository)), "utf-8")
    found = "\n\n".join(f"[{name}]({link})" for name, link in links(repository).items())
    return f"{found}\n\nThese lead somewhere once infra/form.json is committed, and {TAG} is tagged and released."


if __name__ == "__main__":
    print(main(sys.argv[1:]))
