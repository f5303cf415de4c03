"""Where the templates are (in the wheel or in a checkout), and the one Jinja environment that draws them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = Path(__file__).resolve().parents[1]


def templates() -> Path:
    """Folder of the templates: `workbench/share/templates` of the wheel, else `reports/templates` of the checkout.

    Raises FileNotFoundError, naming both places, when neither is there.
    """
    places = (_PACKAGE / "share" / "templates", _PACKAGE.parent / "reports" / "templates")
    for place in places:
        if place.is_dir():
            return place
    looked = " and ".join(str(place) for place in places)
    raise FileNotFoundError(f"no templates: looked in {looked}. Reinstall migration-workbench.")


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
