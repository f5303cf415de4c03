"""What is wrong with a migration.yaml, as sentences: where, what was seen, what to do."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from workbench.migration.declared import Where


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to put right. line: 1-based, 0 where no line can be named; key: dotted, "task.target"."""

    line: int
    key: str
    sentence: str
    file: str = "migration.yaml"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}" if self.line else f"{self.file}: {self.sentence}"


class MigrationError(Exception):
    """A migration.yaml that cannot be used. `problems`: every one, in the file's order; the message lists them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


def said(file: Path | str, sentence: str, line: int = 0, key: str = "") -> MigrationError:
    """An error of one problem."""
    return MigrationError([Problem(line, key, sentence, str(file))])


def suggestion(seen: str, known: Iterable[str]) -> str:
    """`: did you mean 'x'?`, or "" where nothing known is near."""
    names = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(seen.casefold(), names, n=1, cutoff=0.6)
    return f": did you mean {names[near[0]]!r}?" if near else ""


def explain(
    errors: Iterable[ErrorDetails],
    lines: Mapping[Where, int],
    file: str,
    model: type[BaseModel],
    under: Where = (),
) -> list[Problem]:
    """Pydantic's errors as problems: one per place, in the words of the file.

    lines: the 1-based line of every key; model: what was validated, found `under` this place of the file.
    A place that could hold several types is reported once.
    """
    found: dict[Where, list[ErrorDetails]] = {}
    for error in errors:
        found.setdefault(_place(error, lines, under), []).append(error)
    words = _Words(model.model_json_schema(), under)
    return [
        Problem(_line(place, lines), _dotted(place), words.sentence(place, several), file)
        for place, several in found.items()
    ]


def _place(error: ErrorDetails, lines: Mapping[Where, int], under: Where) -> Where:
    """Where in the file: the location less the names of tried types; a missing key stays part of it."""
    place: Where = error.get("ctx", {}).get("place", (*under, *error["loc"]))
    if error["type"] == "missing":
        return place
    while place and place not in lines:
        place = place[:-1]
    return place


def _line(place: Where, lines: Mapping[Where, int]) -> int:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _dotted(place: Where) -> str:
    return ".".join(map(str, place))


class _Words:
    """Errors in words, with what the JSON schema knows of the place: its keys and what they are for."""

    def __init__(self, schema: dict[str, Any], under: Where) -> None:
        self._whole, self._under = schema, len(under)

    def sentence(self, place: Where, errors: Sequence[ErrorDetails]) -> str:
        error = errors[0]
        match error["type"]:
            case "missing":
                about = self._schema(place).get("description")
                return f"`{_dotted(place)}` is missing" + (f": {about}" if about else ": add it")
            case "extra_forbidden":
                return self._unknown(place)
            case "value_error" | "elsewhere":
                return error["msg"].removeprefix("Value error, ")
            case "literal_error":
                return _not_one_of(place, error)
        wanted = " or ".join(dict.fromkeys(_wanted(each) for each in errors))
        return f"`{_dotted(place)}` must be {wanted}; it is {_seen(error['input'])}{_advice(errors)}"

    def _unknown(self, place: Where) -> str:
        section, key = place[:-1], str(place[-1])
        inside = f"`{_dotted(section)}`" if section else "the top level"
        known = list(self._schema(section).get("properties", {}))
        home = self._home_of(key)
        near = f": it belongs under {home}" if home else suggestion(key, known)
        return f"{key!r} is not a key of {inside}" + (near or f"; known are {', '.join(known) or 'none'}")

    def _home_of(self, key: str) -> str | None:
        """The section that has this key, for a key written one level too high or too low."""
        top = self._whole.get("properties", {})
        homes = (f"`{name}`" for name in top if key in self._schema((name,)).get("properties", {}))
        return next(homes, "no section, so do not indent it" if key in top else None)

    def _schema(self, place: Where) -> dict[str, Any]:
        """The part of the schema that describes a place; {} where there is none."""
        part: dict[str, Any] = self._whole
        for step in place[self._under :]:
            part = self._deref(part)
            part = part.get("properties", {}).get(step) or part.get("additionalProperties") or {}
            if not isinstance(part, dict):
                return {}
        about = part.get("description")
        part = self._deref(part)
        return {**part, "description": about or part.get("description")}

    def _deref(self, part: dict[str, Any]) -> dict[str, Any]:
        options = [option for option in part.get("anyOf", [part]) if option.get("type") != "null"]
        part = options[0] if options else part
        if "$ref" in part:
            return dict(self._whole["$defs"][part["$ref"].rsplit("/", 1)[1]])
        return part


def _not_one_of(place: Where, error: ErrorDetails) -> str:
    expected = str(error.get("ctx", {}).get("expected", ""))
    known = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    near = suggestion(str(error["input"]), known) or ";"
    return f"`{_dotted(place)}` is {_seen(error['input'])}{near} it may be {expected}"


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a section of `key: value` lines",
    "model_type": "a section of `key: value` lines",
    "string_too_short": "text that is not empty",
}


def _wanted(error: ErrorDetails) -> str:
    if error["type"] in _WANTED:
        return _WANTED[error["type"]]
    return error["msg"].removeprefix("Input should be ").removeprefix("a valid ")


def _advice(errors: Sequence[ErrorDetails]) -> str:
    seen = errors[0]["input"]
    types = {error["type"] for error in errors}
    if "string_type" in types and isinstance(seen, int | float):
        return f': put it in quotes, "{str(seen).lower() if isinstance(seen, bool) else seen}"'
    if types & {"int_type", "float_type"} and isinstance(seen, str) and _is_number(seen):
        return f": write {seen.strip()} without quotes"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_NAMES = {bool: "", int: "the number ", float: "the number ", str: "the text ", list: "a list, ", dict: "a section, "}


def _seen(value: object) -> str:
    if value is None:
        return "empty"
    word = str(value).lower() if isinstance(value, bool) else reprlib.repr(value)
    return f"{_NAMES.get(type(value), '')}{word}"
