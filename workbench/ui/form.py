"""A form made from an audit's Params: every field with its description, type and bounds, written back when changed."""

from __future__ import annotations

import enum
import html
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

from workbench import catalog
from workbench.migration import FILE, open_migration, update
from workbench.ui.explore import cell

UNSET = "not set"
_NAMED = {"width": "120px", "justify_content": "flex-end", "margin": "2px 8px 2px 2px"}


class Form:
    """Shows itself in a cell: with widgets where somebody can use them, else as the list of what was chosen."""

    def __init__(self, audit: str, folder: Path, given: Mapping[str, object], *, interactive: bool) -> None:
        self.audit, self.folder, self.interactive, self.given = audit, folder, interactive, dict(given)
        self.values: BaseModel = catalog.params_of(open_migration(folder), audit, given)
        self.problem = ""

    @property
    def fields(self) -> dict[str, FieldInfo]:
        return type(self.values).model_fields

    def set(self, name: str, value: object) -> bool:
        """Writes a choice to migration.yaml; False, with `problem` in words, if it is not a possible one."""
        if name in self.given:
            self.problem = (
                f"Not written: {name} is given in the parameters cell of this notebook, which wins. Change it there, "
                "or take it out of `params` and run the notebook again."
            )
            return False
        try:
            chosen = _meant(self.fields[name], value)
            values = catalog.params_of(open_migration(self.folder), self.audit, {**self.given, name: chosen})
            written = values.model_dump(mode="json")[name]
            # As one value, so that what was in a nested one before is gone and not merged.
            whole = RootModel(written) if isinstance(written, dict) else written
            update(self.folder / FILE, {"audits": {self.audit: {name: whole}}})
        except Exception as error:  # shown beside the form, where the person is
            self.problem = f"Not written: {error}"
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
        static = {"text/markdown": self._repr_markdown_(), "text/plain": repr(self)}
        cell.display(static, self.widget if self.interactive and self.fields else None)

    def widget(self) -> Any:
        """The form as ipywidgets: one control per parameter, its meaning beside it, and what went wrong below."""
        import ipywidgets

        said = ipywidgets.HTML()
        rows = []
        for name, field in self.fields.items():
            control = _control(name, field, getattr(self.values, name))
            control.observe(self._listener(name, said), "value")
            # Tags draw no name of their own.
            unnamed = isinstance(control, ipywidgets.TagsInput)
            named = [ipywidgets.Label(name, layout=_NAMED)] if unnamed else []
            meaning = ipywidgets.HTML(html.escape(_meaning(field)), layout={"flex": "1 1 0%", "min_width": "12em"})
            rows.append(ipywidgets.HBox([*named, control, meaning]))
        return ipywidgets.VBox([*rows, said])

    def _listener(self, name: str, said: Any) -> Any:
        def changed(change: Mapping[str, Any]) -> None:
            kept = self.set(name, change["new"])
            now = f"{name} is now {getattr(self.values, name)!r} in migration.yaml."
            said.value = cell.paragraph(now if kept else self.problem)

        return changed


def _meaning(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "/")


def _cell(value: object) -> str:
    return repr(value).replace("|", "/").replace("`", "'")


def _control(name: str, field: FieldInfo, value: Any) -> Any:
    """The widget that fits the type: tick box, bounded number, choice, list of words, or text."""
    import ipywidgets

    look: dict[str, Any] = {"description": name, "value": value, "style": {"description_width": "120px"}}
    kind, optional = _plain_type(field.annotation), _optional(field.annotation)
    if options := _choices(kind):
        # A value of None would be no choice at all, and drawn as nothing.
        chosen = {"index": 0} if value is None else {"value": value}
        named = {"description": name, "style": look["style"]}
        return ipywidgets.Dropdown(options=[*[(UNSET, None)] * optional, *options], **named, **chosen)
    if kind is bool:
        return ipywidgets.Checkbox(**look)
    if kind in (int, float) and not optional:
        low, high = _bounds(field, kind)
        widget = ipywidgets.BoundedIntText if kind is int else ipywidgets.BoundedFloatText
        return widget(min=min(low, value), max=max(high, value), continuous_update=False, **look)
    if typing.get_origin(kind) in (tuple, list, set, frozenset):
        allowed = [label for label, _ in _choices(typing.get_args(kind)[0])]
        tags = {"value": [str(item) for item in value or ()], "allow_duplicates": False, "allowed_tags": allowed}
        tags |= {"layout": {"width": "176px"}}
        return ipywidgets.TagsInput(**(look | tags))
    if _is_nested(kind):
        return ipywidgets.Textarea(continuous_update=False, rows=4, **(look | {"value": _as_yaml(value)}))
    placeholder = UNSET if optional else ""
    shown = "" if value is None else str(value)
    return ipywidgets.Text(continuous_update=False, placeholder=placeholder, **(look | {"value": shown}))


def _choices(kind: Any) -> list[tuple[str, Any]]:
    """What can be chosen of a closed set, by its label; [] for any other type."""
    if typing.get_origin(kind) is typing.Literal:
        return [(str(value), value) for value in typing.get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [(str(member.value), member) for member in kind]
    return [("yes", True), ("no", False)] if kind == (bool | None) else []


def _meant(field: FieldInfo, value: object) -> object:
    """What a control gives, as what the parameter takes: nothing typed is no value, a nested one is written in YAML."""
    if value == "" and _optional(field.annotation):
        return None
    if isinstance(value, str) and _is_nested(_plain_type(field.annotation)):
        from ruamel.yaml import YAML

        return YAML(typ="safe").load(value)
    return value


def _is_nested(kind: Any) -> bool:
    plain = typing.get_origin(kind) or kind
    return isinstance(plain, type) and issubclass(plain, BaseModel | Mapping | dict)


def _as_yaml(value: Any) -> str:
    from io import StringIO

    from ruamel.yaml import YAML

    if value is None:
        return ""
    stream = StringIO()
    YAML(typ="safe").dump(value.model_dump(mode="json") if isinstance(value, BaseModel) else dict(value), stream)
    return stream.getvalue()


def _optional(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation)


def _plain_type(annotation: Any) -> Any:
    """The type itself of `X | None`; of a yes or no that may be left open, both; of several others, text."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        if kinds == [bool]:
            return bool | None
        return kinds[0] if len(kinds) == 1 else str
    return annotation


def _bounds(field: FieldInfo, kind: type) -> tuple[float, float]:
    low: float = -(10**9)
    high: float = 10**9
    for rule in field.metadata:
        low = next((getattr(rule, name) for name in ("ge", "gt") if getattr(rule, name, None) is not None), low)
        high = next((getattr(rule, name) for name in ("le", "lt") if getattr(rule, name, None) is not None), high)
    return (int(low), int(high)) if kind is int else (float(low), float(high))
