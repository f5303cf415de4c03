"""Pipelines, column transformers and unions: pieces made of pieces."""

from __future__ import annotations

from workbench.migrate.lift.columns import (
    CannotLift,
    Column,
    Columns,
    Context,
    answer,
    chain,
    convert,
    predictor,
    shifted,
    take,
    transformer,
)
from workbench.migrate.lift.ops import Affine, Beside, Op
from workbench.models.protocol import Piece

Parts = list[tuple[Op, Columns]]


@predictor("sklearn.pipeline.Pipeline")
def pipeline_model(piece: Piece, columns: Columns, context: Context) -> Op:
    if not piece.children:
        raise CannotLift(piece.kind, "it has no steps")
    ops, columns = _steps(piece, piece.children[:-1], columns, context)
    return chain([*ops, answer(piece.children[-1][1], columns, context)])


@transformer("sklearn.pipeline.Pipeline")
def pipeline(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    ops, columns = _steps(piece, piece.children, columns, context)
    if not ops:
        return convert(Piece("passthrough"), columns, context)
    return chain(ops), columns


def _steps(
    piece: Piece, steps: tuple[tuple[str, Piece], ...], columns: Columns, context: Context
) -> tuple[list[Op], Columns]:
    ops = []
    for _, step in steps:
        if step.kind != "passthrough":
            op, columns = convert(step, columns, context)
            ops.append(op)
    return ops, columns


@transformer("sklearn.compose.ColumnTransformer")
def column_transformer(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    chosen = piece.params.get("columns")
    if not isinstance(chosen, dict):
        raise CannotLift(piece.kind, "its description does not say which columns each part takes")
    weights = piece.params.get("transformer_weights") or {}
    parts: Parts = []
    for name, part in piece.children:
        if part.kind == "drop" or not chosen[name]:
            continue
        picked = columns.pick(_places(piece, chosen[name], columns))  # type: ignore[arg-type]
        parts.append(_weighted(convert(part, picked, context), weights, name))
    return _side_by_side(parts)


def _places(piece: Piece, chosen: list[object], columns: Columns) -> list[int]:
    """Names or positions as positions."""
    places = []
    for column in chosen:
        if isinstance(column, str) and columns.names is None:
            why = f"it asks for {column!r} by name among columns that an earlier step computed"
            raise CannotLift(piece.kind, why, "Select columns by position there, or transform the raw columns")
        place = columns.names.index(column) if isinstance(column, str) and columns.names else int(str(column))
        places.append(place)
    return places


def _weighted(part: tuple[Op, Columns], weights: object, name: str) -> tuple[Op, Columns]:
    if not isinstance(weights, dict) or name not in weights:
        return part
    import numpy as np

    op, columns = part
    if len(columns) != columns.width:
        raise CannotLift("sklearn.compose.ColumnTransformer", "transformer_weights on columns of text")
    return chain([op, Affine({}, {"factor": np.full(columns.width, float(weights[name]))})]), columns


@transformer("sklearn.pipeline.FeatureUnion")
def feature_union(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    weights = piece.params.get("transformer_weights") or {}
    parts = [
        _weighted(convert(part, columns, context), weights, name)
        for name, part in piece.children
        if part.kind != "drop"
    ]
    return _side_by_side(parts)


def _side_by_side(parts: Parts) -> tuple[Op, Columns]:
    width = sum(columns.width for _, columns in parts)
    items: list[Column] = []
    at = 0
    for _, columns in parts:
        items += shifted(columns, at)
        at += columns.width
    ops = [op for op, columns in parts if columns.width]
    op = Beside({}, {}, ops) if ops else take([])
    return (ops[0] if len(ops) == 1 else op), Columns(tuple(items), width)
