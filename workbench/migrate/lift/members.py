"""Models inside models: each answers in a context of its own (its classes, its task), over the same raw columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.migrate.lift.columns import CannotLift, Columns, Context, answer
from workbench.migrate.lift.committee_ops import Told
from workbench.migrate.lift.ops import Arrays, Op
from workbench.models import nested
from workbench.models.nested import last
from workbench.models.protocol import Kind, Label, Piece


def child(piece: Piece, name: str) -> Piece:
    found = dict(piece.children).get(name)
    if found is None:
        raise CannotLift(piece.kind, f"its description has no part {name!r}", "Save it fitted, as a whole")
    return found


def members(piece: Piece, name: str = "estimators_") -> list[Piece]:
    """The fitted models of a committee, in its order."""
    found = nested.members(piece, name)
    if not found:
        raise CannotLift(piece.kind, "its description holds no fitted members", "Save it fitted, as a whole")
    return found


def classes_of(piece: Piece) -> tuple[Label, ...]:
    """() for a regression."""
    for one in (piece, last(piece)):
        found = one.arrays.get("classes_")
        if found is not None:
            return tuple(found.tolist())
    return ()


def responds(piece: Piece, *ways: str) -> str:
    """The first of these methods the fitted model has. Raises CannotLift where the description does not say."""
    known = piece.params.get("responds_")
    if not isinstance(known, list):
        raise CannotLift(piece.kind, "its description does not say how it answers", "Describe it anew")
    return next((way for way in ways if way in known), "")


def own(piece: Piece, context: Context) -> Context:
    """The context a member answers in."""
    classes = classes_of(piece)
    task: Kind = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    return Context(context.sources, classes, task, context.built)


def member(piece: Piece, columns: Columns, context: Context) -> Op:
    return answer(piece, columns, own(piece, context))


def told(op: Op, *what: str, columns: list[int] | None = None, values: Sequence[float] | None = None) -> Op:
    """values: what each label is to the owner; its place where they are None."""
    arrays: Arrays = {}
    if columns is not None:
        arrays["columns"] = np.array(columns, dtype=np.int64)
    if values is not None:
        arrays["values"] = np.array(values, dtype=np.float64)
    return Told({"what": list(what)}, arrays, [op])


def scores(piece: Piece, columns: Columns, context: Context) -> Op:
    """A member's probabilities, one column for each of its classes."""
    count = len(classes_of(piece))
    if not responds(piece, "predict_proba"):
        raise CannotLift(piece.kind, "it gives no probabilities, and its owner asks for them")
    # A member that saw one class only answers as a sigmoid would: its class is the second column.
    return told(member(piece, columns, context), "scores", columns=[1] if count == 1 else None)


def label(piece: Piece, columns: Columns, context: Context, owner: tuple[Label, ...]) -> Op:
    """A member's decision, as a place among the owner's classes."""
    places = [place(one, owner, piece) for one in classes_of(piece)]
    same = places == list(range(len(places)))
    return told(member(piece, columns, context), "label", values=None if same else places)


def place(one: Label, owner: tuple[Label, ...], piece: Piece) -> int:
    if one not in owner:
        raise CannotLift(piece.kind, f"it answers {one!r}, which is no class of its owner")
    return owner.index(one)


def response(piece: Piece, columns: Columns, context: Context) -> tuple[Op, str]:
    """A binary member's decision as one column, and the method that gives it: its margin, else P(second class).

    A regression's value is neither.
    """
    if not classes_of(piece):
        return told(member(piece, columns, context), "values"), "predict"
    how = responds(piece, "decision_function", "predict_proba")
    if how == "decision_function":
        return told(member(piece, columns, context), "raw"), how
    if not how:
        raise CannotLift(piece.kind, "it gives neither a margin nor probabilities, and its owner asks for one")
    return told(member(piece, columns, context), "scores", columns=[1]), how
