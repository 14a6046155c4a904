"""The one Jinja2 environment: escapes HTML, fails on an unknown name, compiles each template once a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """The template's text with `values` in it. Names that end in `.txt` are plain text; all others escape HTML.

    Raises jinja2.UndefinedError when the template names a value that was not given.
    """
    return environment().get_template(template).render(**values)


@cache
def environment() -> jinja2.Environment:
    """The environment over `leads/templates`, imported with Jinja2 at its first use to keep cold starts short."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=jinja2.select_autoescape(disabled_extensions=("txt",), default=True),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
