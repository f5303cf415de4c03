"""One output of both: a widget where somebody can use it, and the static result, which a saved notebook keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.evidence import Finding, Measure

WIDE = {"description_width": "130px"}
FIELD = {"width": "min(100%, 360px)"}


def display(static: Mapping[str, str], widget: Callable[[], Any] | None) -> None:
    """Displays the static forms by MIME type, with the widget that is made here where there is one."""
    from IPython import display as screen

    show: Any = screen.display
    live = widget()._repr_mimebundle_() if widget is not None else {}
    show({**live, **static}, raw=True)


class Cell:
    """What a cell displays. interactive: whether somebody can move it; else only what it is at first is shown."""

    interactive = False

    def __repr__(self) -> str:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        raise NotImplementedError

    def widget(self) -> Any:
        raise NotImplementedError

    def _ipython_display_(self) -> None:
        static = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        display(static, self.widget if self.interactive else None)


SAID = ("legacy", "interval", "candidate", "interval ", "change", " interval")
"""Columns of `said`; two of one name would be taken for one."""


def said(finding: Finding) -> Iterator[str | None]:
    """The pair and its change in words, each with its interval."""
    from workbench.render import words

    for name in ("legacy", "candidate", "change"):
        one: Measure | None = getattr(finding, name)
        signed = name == "change" and words.is_difference(finding)
        yield words.measure(one, signed) or None
        yield words.interval(one, signed) or None


def paragraph(text: str) -> str:
    """A sentence as HTML in the house style."""
    from workbench.render.explore import explored

    return explored("", note=text)
