"""Tree ensembles: scikit-learn's, XGBoost's and LightGBM's, all from the tree IR."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

import numpy as np

from workbench.migrate.lift.answer import Label, answer_op
from workbench.migrate.lift.columns import (
    CannotLift,
    Column,
    Columns,
    Context,
    chain,
    convert,
    fresh,
    numbers,
    predictor,
    take,
)
from workbench.migrate.lift.encode import encoded, entry
from workbench.migrate.lift.ensemble import ensemble
from workbench.migrate.lift.ops import Beside, Op
from workbench.migrate.lift.tree_op import two_classes
from workbench.models.protocol import Piece
from workbench.models.trees import Trees

SKLEARN_TREES = tuple(
    f"sklearn.{name}{task}"
    for name in ("tree.DecisionTree", "tree.ExtraTree", "ensemble.RandomForest", "ensemble.ExtraTrees")
    for task in ("Classifier", "Regressor")
)


def _trees(piece: Piece) -> Trees:
    if piece.trees is None:
        raise CannotLift(piece.kind, str(piece.params.get("trees_refused") or "its trees could not be read"))
    return piece.trees


def _raw(piece: Piece, columns: Columns, context: Context, float32: bool = False) -> list[Op]:
    """Ops from the columns, in the trees' order, to raw sums."""
    trees = _trees(piece)
    before, count = numbers(piece, columns)
    if count != len(trees.features):
        raise CannotLift(piece.kind, f"its trees ask for {len(trees.features)} columns, and {count} reach it")
    if id(piece) not in context.built:
        try:
            context.built[id(piece)] = ensemble(trees, float32)
        except ValueError as error:
            raise CannotLift(piece.kind, str(error)) from error
    return [*before, context.built[id(piece)]]


def _answered(piece: Piece, context: Context, ops: list[Op], label: Label, link: str = "", **options: Any) -> Op:
    trees = _trees(piece)
    link = link or trees.link
    if context.task != "regression" and link in ("identity", "exp") and options.get("raw", True):
        raise CannotLift(piece.kind, f"its objective gives no probability (link {link!r})", _OBJECTIVE)
    last = answer_op(piece, context, trees.n_outputs, link=link, link_scale=trees.link_scale, label=label, **options)
    together = two_classes(ops[-1], last)
    return chain([*ops, last] if together is None else [*ops[:-1], together])


_OBJECTIVE = "Train it with a probability objective such as binary:logistic, or declare the task a regression"


@predictor(*SKLEARN_TREES)
def forest(piece: Piece, columns: Columns, context: Context) -> Op:
    return _answered(piece, context, _raw(piece, columns, context), "argmax", raw=False)


@predictor("pmml.TreeModel", "pmml.MiningModel")
def pmml(piece: Piece, columns: Columns, context: Context) -> Op:
    return _answered(piece, context, _raw(piece, columns, context), "argmax", raw=False, unanswered=True)


@predictor("sklearn.ensemble.GradientBoostingClassifier", "sklearn.ensemble.GradientBoostingRegressor")
def gradient_boosting(piece: Piece, columns: Columns, context: Context) -> Op:
    label: Label = "raw>=0" if _trees(piece).n_outputs == 1 else "argmax-raw"
    if any(name == "init_" for name, _ in piece.children):
        from workbench.migrate.lift.grown import started

        sums = started(piece, columns, context, _raw(piece, fresh(len(columns)), context))
    else:
        sums = _raw(piece, columns, context)
    return _answered(piece, context, sums, label)


@predictor("sklearn.ensemble.HistGradientBoostingClassifier", "sklearn.ensemble.HistGradientBoostingRegressor")
def histogram_boosting(piece: Piece, columns: Columns, context: Context) -> Op:
    before = dict(piece.children).get("_preprocessor")
    ops: list[Op] = []
    if before is not None:
        op, columns = convert(before, columns, context)
        ops.append(op)
    label: Label = "raw>0" if _trees(piece).n_outputs == 1 else "argmax-raw"
    return _answered(piece, context, [*ops, *_raw(piece, columns, context)], label)


@predictor(
    "xgboost.Booster",
    "xgboost.XGBClassifier",
    "xgboost.XGBRegressor",
    "xgboost.XGBRFClassifier",
    "xgboost.XGBRFRegressor",
)
def xgboost(piece: Piece, columns: Columns, context: Context) -> Op:
    return _boosted(piece, columns, context, float32=True)


@predictor("lightgbm.Booster", "lightgbm.LGBMClassifier", "lightgbm.LGBMRegressor", "catboost.Booster")
def lightgbm(piece: Piece, columns: Columns, context: Context) -> Op:
    return _boosted(piece, columns, context, float32=False)


def _boosted(piece: Piece, columns: Columns, context: Context, float32: bool) -> Op:
    from workbench.migrate.lift.grown import linear_answer, missing_op

    linear = dict(piece.children).get("linear")
    trees = _trees(piece) if linear is None else linear.trees
    categories = piece.params.get("categories")
    if categories is None and trees is not None and trees.categorical:
        raise CannotLift(piece.kind, "its description does not say which values its category codes stand for")
    ops: list[Op] = []
    if isinstance(categories, dict) and categories and trees is not None:
        op, columns = _coded(piece, trees.features, columns, context, categories)
        ops.append(op)
    missing = piece.params.get("missing")
    if isinstance(missing, int | float) and not math.isnan(missing):
        before, count = numbers(piece, columns)
        ops, columns = [*ops, *before, missing_op(piece, float(missing))], fresh(count)
    if linear is not None:
        return chain([*ops, linear_answer(piece, linear, columns, context, float32)])
    ops += _raw(piece, columns, context, float32)
    if piece.params.get("objective") == "binary:hinge" and piece.kind.endswith("Booster"):
        # It decides, and gives no probability.
        return chain([*ops, answer_op(piece, context, 1, label="raw>0", scores=False, float32=float32)])
    # Booster files of this objective answer log-odds, which the model door turns into a probability.
    link = "sigmoid" if piece.params.get("objective") == "binary:logitraw" and piece.kind.endswith("Booster") else ""
    return _answered(piece, context, ops, "argmax", float32=float32, link=link)


def _coded(
    piece: Piece, features: tuple[str, ...], columns: Columns, context: Context, categories: dict[str, Any]
) -> tuple[Op, Columns]:
    """Values of coded features as their places in the stored list; anything else is missing."""
    parts: list[Op] = []
    for coded, places in groupby(range(len(columns)), key=lambda place: features[place] in categories):
        if coded:
            parts += [_code(piece, columns.items[place], categories[features[place]], context) for place in places]
        else:
            before, count = numbers(piece, columns.pick(list(places)))
            parts.append(chain(before) if before else take(range(count)))
    return Beside({}, {}, parts), fresh(len(columns))


def _code(piece: Piece, column: Column, listed: list[Any], context: Context) -> Op:
    values = [entry(value) for value in listed]
    rows = np.arange(len(values), dtype=np.float64)[:, None]
    return encoded(piece, column, values, rows, np.array([np.nan]), context)
