"""Jinja2 as this app uses it: escapes HTML, fails on an unknown name, compiles each template once a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).parent / "templates"


def render(template: str, /, folder: Path = FOLDER, **values: Any) -> str:
    """The text of a template in `folder` with `values` in it. It is plain text for `.txt`; all others escape HTML.

    Raises jinja2.UndefinedError when the template names a value that was not given.
    """
    return environment(folder).get_template(template).render(**values)


@cache
def environment(folder: Path = FOLDER) -> jinja2.Environment:
    """The environment over `folder`, imported with Jinja2 at its first use to keep cold starts short."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=jinja2.select_autoescape(disabled_extensions=("txt",), default=True),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
