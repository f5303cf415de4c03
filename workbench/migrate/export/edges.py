"""The two ends of an exported graph: raw columns in, one tensor [n, 1] each; a label and scores, or values, out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.migrate.export.graph import ML, Graph, NoForm
from workbench.models.edge import MISSING, NONE, UNKNOWN, EdgeColumn, EdgeSpec
from workbench.models.protocol import Label

CODES = {"unknown": UNKNOWN, "missing": MISSING, "none": NONE}
Port = tuple[str, Any, tuple[str | int, ...]]
"""Name, numpy type and shape of what a graph takes or gives."""


def ports(edge: EdgeSpec) -> tuple[Port, ...]:
    """What the graph takes: float64 or text, a column each.

    Raises NoForm for a category that is no text, and for a model that reads nothing.
    """
    if not edge.columns:
        raise NoForm("a model that reads no column, for an ONNX file counts its rows by one")
    for column in edge.columns:
        if column.name.startswith("/") or not column.name:
            raise NoForm(f"the column {column.name!r} has a name that the graph needs for itself")
        other = [value for value in column.values if column.read == "category" and not isinstance(value, str)]
        if other:
            raise NoForm(f"column {column.name!r} holds {other[0]!r} among text, and an ONNX tensor has one type")
        if column.read == "category" and "" in column.values:
            raise NoForm(f"column {column.name!r} knows the empty text, which in an ONNX file stands for missing")
    kinds = {"number": np.float64, "category": np.str_}
    return tuple((column.name, kinds[column.read], ("rows", 1)) for column in edge.columns)


def rows(graph: Graph, edge: EdgeSpec) -> str:
    """The number of rows, int64 [1]."""
    return str(graph.add("Slice", graph.add("Shape", edge.columns[0].name), graph.ints(0), graph.ints(1)))


def tensors(graph: Graph, edge: EdgeSpec) -> tuple[str, str]:
    """Names of numbers float64 [n, a] and codes int64 [n, b], "" for none of a kind."""
    numbers = [_number(graph, column) for column in edge.columns if column.read == "number"]
    codes = [_code(graph, column) for column in edge.columns if column.read == "category"]
    return graph.beside(numbers) if numbers else "", graph.beside(codes) if codes else ""


def _number(graph: Graph, column: EdgeColumn) -> str:
    x = column.name
    for word in column.refuses:
        absent = graph.add("IsNaN", column.name)
        hit = absent if word == "missing" else graph.add("Not", graph.add("Or", absent, _allowed(graph, column, word)))
        x = graph.add("Sub", x, graph.cast(_stopped(graph, hit, column, word), np.float64))
    return x


def _allowed(graph: Graph, column: EdgeColumn, word: str) -> str:
    """Flags bool [n, 1]: the number is one that is let through."""
    if word == "unknown":
        return _among(graph, column.name, column.values)
    if word != "outside" or column.between is None:
        raise NoForm(f"what column {column.name!r} refuses ({word})")
    low, high, *others = column.between
    above = graph.add("GreaterOrEqual", column.name, graph.constant(low, np.float64))
    inside = graph.add("And", above, graph.add("LessOrEqual", column.name, graph.constant(high, np.float64)))
    return str(graph.add("Or", inside, _among(graph, column.name, others)) if others else inside)


def _among(graph: Graph, name: str, values: Sequence[Label]) -> str:
    same = graph.add("Equal", name, graph.constant([list(values)], np.float64))
    return graph.cast(graph.add("ReduceMax", graph.cast(same, np.int32), graph.ints(1), keepdims=1), np.bool_)


def _code(graph: Graph, column: EdgeColumn) -> str:
    code: str = graph.add(
        "LabelEncoder",
        column.name,
        domain=ML,
        keys_strings=["", *column.values],
        values_int64s=[NONE if column.none else MISSING, *range(len(column.values))],
        default_int64=UNKNOWN,
    )
    for word in column.refuses:
        hit = graph.add("Equal", code, graph.constant(CODES[word], np.int64))
        code = graph.add("Sub", code, _stopped(graph, hit, column, word))
    return code


def _stopped(graph: Graph, hit: str, column: EdgeColumn, word: str) -> str:
    """Zeros int64 of the flags' shape. A row that is hit asks for what is not there, and the run stops: as the legacy
    model stops. The node's name is what onnxruntime says of it."""
    name = f"column {column.name} holds a value ({word}) that the model refuses"
    return str(graph.add("Gather", graph.ints(0), graph.cast(hit, np.int64), name=name, axis=0))


def label(graph: Graph, place: str, classes: Sequence[Label]) -> tuple[str, Any]:
    """Classes of places int64 [n] and their type; a place of -1 is `no_class`.

    Raises NoForm for classes that are neither all text nor all whole numbers.
    """
    nothing = no_class(classes)
    if isinstance(nothing, str):
        names = [str(value) for value in classes]
        keys = list(range(len(classes)))
        given: dict[str, Any] = {"keys_int64s": keys, "values_strings": names, "default_string": nothing}
        return graph.add("LabelEncoder", place, domain=ML, **given), np.str_
    table = graph.constant([*(int(value) for value in classes), nothing], np.int64)
    return graph.add("Gather", table, place, axis=0), np.int64


def no_class(classes: Sequence[Label]) -> str | int:
    """What stands for no class at all in the file: "", or -1, or where that is a class the lowest number there is."""
    if all(isinstance(value, str) for value in classes):
        if "" in classes:
            raise NoForm("a class whose name is empty, which in an ONNX file stands for no class")
        return ""
    if not all(isinstance(value, int) or (isinstance(value, float) and value.is_integer()) for value in classes):
        raise NoForm(f"classes of several types, or numbers that are not whole ({list(classes)[:4]})")
    return LOWEST if -1 in classes else -1


LOWEST = int(np.iinfo(np.int64).min)
