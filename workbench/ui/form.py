"""A form made from an audit's Params: every field with its description, type and bounds, written back when changed."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from workbench import catalog
from workbench.migration import FILE, open_migration, update


class Form:
    """Shows itself in a cell: with widgets where somebody can use them, else as the list of what was chosen."""

    def __init__(self, audit: str, folder: Path, given: Mapping[str, object], *, interactive: bool) -> None:
        self.audit, self.folder, self.interactive = audit, folder, interactive
        self.values: BaseModel = catalog.params_of(open_migration(folder), audit, given)
        self.problem = ""

    @property
    def fields(self) -> dict[str, FieldInfo]:
        return type(self.values).model_fields

    def set(self, name: str, value: object) -> bool:
        """Writes a choice to migration.yaml; False, with `problem` in words, if it is not a possible one."""
        chosen = None if value == "" and getattr(self.values, name) is None else value
        try:
            values = catalog.params_of(open_migration(self.folder), self.audit, {name: chosen})
            update(self.folder / FILE, {"audits": {self.audit: {name: values.model_dump(mode="json")[name]}}})
        except Exception as error:  # shown beside the form, where the person is
            self.problem = str(error)
            return False
        self.values, self.problem = values, ""
        return True

    def __repr__(self) -> str:
        if not self.fields:
            return f"{self.audit} has nothing to choose."
        return "\n".join(f"{name} = {getattr(self.values, name)!r}: {_meaning(f)}" for name, f in self.fields.items())

    def _repr_markdown_(self) -> str:
        if not self.fields:
            return f"*{self.audit} has nothing to choose.*"
        rows = [
            f"| `{name}` | `{_cell(getattr(self.values, name))}` | {_meaning(field)} |"
            for name, field in self.fields.items()
        ]
        return "\n".join(["| parameter | value | what it does |", "|---|---|---|", *rows])

    def _ipython_display_(self) -> None:
        from IPython import display as screen

        display: Any = screen.display
        static = {"text/markdown": self._repr_markdown_(), "text/plain": repr(self)}
        widget = self.widget()._repr_mimebundle_() if self.interactive and self.fields else {}
        # One output of both: a saved notebook keeps the choices where no widget lives.
        display({**widget, **static}, raw=True)

    def widget(self) -> Any:
        """The form as ipywidgets: one control per parameter, its meaning beside it, and what went wrong below."""
        import ipywidgets

        said = ipywidgets.Label()
        rows = []
        for name, field in self.fields.items():
            control = _control(name, field, getattr(self.values, name))
            control.observe(self._listener(name, said), "value")
            # Tags draw no name of their own.
            unnamed = isinstance(control, ipywidgets.TagsInput)
            named = [ipywidgets.Label(name, layout={"min_width": "120px"})] if unnamed else []
            rows.append(ipywidgets.HBox([*named, control, ipywidgets.Label(_meaning(field))]))
        return ipywidgets.VBox([*rows, said])

    def _listener(self, name: str, said: Any) -> Any:
        def changed(change: Mapping[str, Any]) -> None:
            kept = self.set(name, change["new"])
            said.value = f"{name} is now {change['new']!r} in migration.yaml." if kept else self.problem

        return changed


def _meaning(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "/")


def _cell(value: object) -> str:
    return repr(value).replace("|", "/").replace("`", "'")


def _control(name: str, field: FieldInfo, value: Any) -> Any:
    """The widget that fits the type: tick box, bounded number, choice, list of words, or text."""
    import ipywidgets

    look: dict[str, Any] = {"description": name, "value": value, "style": {"description_width": "120px"}}
    kind = _plain_type(field.annotation)
    if kind is bool:
        return ipywidgets.Checkbox(**look)
    if typing.get_origin(kind) is typing.Literal:
        return ipywidgets.Dropdown(options=list(typing.get_args(kind)), **look)
    if kind in (int, float) and value is not None:
        low, high = _bounds(field, kind)
        widget = ipywidgets.BoundedIntText if kind is int else ipywidgets.BoundedFloatText
        return widget(min=low, max=high, continuous_update=False, **look)
    if typing.get_origin(kind) in (tuple, list):
        return ipywidgets.TagsInput(**(look | {"value": [str(item) for item in value], "allow_duplicates": False}))
    return ipywidgets.Text(continuous_update=False, **(look | {"value": "" if value is None else str(value)}))


def _plain_type(annotation: Any) -> Any:
    """The type itself of `X | None`."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else str
    return annotation


def _bounds(field: FieldInfo, kind: type) -> tuple[float, float]:
    low: float = -(10**9)
    high: float = 10**9
    for rule in field.metadata:
        low = next((getattr(rule, name) for name in ("ge", "gt") if getattr(rule, name, None) is not None), low)
        high = next((getattr(rule, name) for name in ("le", "lt") if getattr(rule, name, None) is not None), high)
    return (int(low), int(high)) if kind is int else (float(low), float(high))
