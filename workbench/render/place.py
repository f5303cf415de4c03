"""The one Jinja environment that draws, and our own styles and scripts."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from workbench.places import templates

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> Environment:
    """Autoescape everywhere, and an undefined name is an error: data is text, and a gap is never silent."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from workbench.render import words

    made = Environment(
        loader=FileSystemLoader(templates()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["words"] = words
    # The defaults sort keys, which would reorder a figure's layout for nothing.
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}
    return made


def text(name: str) -> str:
    """A style or script of our own, as it is."""
    return (templates() / name).read_text(encoding="utf-8")
