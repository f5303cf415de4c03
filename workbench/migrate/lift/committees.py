"""Committees: models that vote, are averaged, stacked or boosted, whatever the members are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.migrate.lift.columns import (
    CannotLift,
    Columns,
    Context,
    answer,
    chain,
    fresh,
    numbers,
    predictor,
    take,
)
from workbench.migrate.lift.committee_ops import (
    Pool,
    Softmax,
    Spread,
    TwoSided,
    Value,
    Verdict,
    Votes,
    WeightedMedian,
)
from workbench.migrate.lift.members import (
    child,
    classes_of,
    label,
    member,
    members,
    responds,
    scores,
    told,
)
from workbench.migrate.lift.ops import Arrays, Beside, MatMul, Op
from workbench.migrate.lift.stops import stopped
from workbench.models.nested import hands_on_single, last, single
from workbench.models.protocol import Piece, Plain

Floats = NDArray[np.float64]


def beside(ops: list[Op]) -> Op:
    return ops[0] if len(ops) == 1 else Beside({}, {}, ops)


def verdict(scores: int, rule: str = "argmax", *, threshold: float = 0.0, raw: bool = False) -> Op:
    config: dict[str, Plain] = {"scores": scores, "rule": rule, "threshold": threshold, "raw": raw}
    return Verdict(config, {"places": np.array([0, 1])})


def regressors(piece: Piece, parts: list[Piece], columns: list[Columns], context: Context) -> list[Op]:
    if context.task != "regression":
        raise CannotLift(piece.kind, f"it predicts a number, and the task is {context.task}")
    return [told(member(part, picked, context), "values") for part, picked in zip(parts, columns)]


def _weights(piece: Piece, count: int) -> Floats | None:
    """Of the members that were not dropped, None for equal ones."""
    given = piece.params.get("weights_", piece.params.get("weights"))
    if given is None:
        return None
    weights = np.asarray(given, dtype=np.float64)
    if weights.shape != (count,):
        raise CannotLift(piece.kind, f"it has {len(weights)} weights for {count} members", "Describe it anew")
    return weights


def _pool(width: int, weights: Floats | None, count: int, float32: bool) -> Op:
    """`numpy.average`: a mean, or the weighted sum over the sum of weights."""
    if weights is None:
        return Pool({"width": width, "divide": float(count), "float32": float32})
    return Pool({"width": width, "divide": float(weights.sum()), "float32": False}, {"weight": weights})


@predictor("sklearn.ensemble.VotingClassifier")
def voting_classifier(piece: Piece, columns: Columns, context: Context) -> Op:
    parts, classes = members(piece), len(context.classes)
    weights = _weights(piece, len(parts))
    if piece.params.get("voting") == "soft":
        _same_classes(piece, parts, classes)
        ops = [scores(part, columns, context) for part in parts]
        pool = _pool(classes, weights, len(parts), all(map(single, parts)))
        return chain([beside(ops), pool, verdict(classes)])
    # Members were trained on the places of the classes.
    ops = [label(part, columns, context, tuple(range(classes))) for part in parts]
    counted = Votes({"classes": classes}, {"weight": np.ones(len(parts)) if weights is None else weights})
    return chain([beside(ops), counted, verdict(0)])


def _same_classes(piece: Piece, parts: list[Piece], classes: int) -> None:
    strange = [len(classes_of(part)) for part in parts if len(classes_of(part)) != classes]
    if strange:
        raise CannotLift(piece.kind, f"it has {classes} classes, and a member {strange[0]}")


@predictor("sklearn.ensemble.VotingRegressor")
def voting_regressor(piece: Piece, columns: Columns, context: Context) -> Op:
    parts = members(piece)
    ops = regressors(piece, parts, [columns] * len(parts), context)
    pool = _pool(1, _weights(piece, len(parts)), len(parts), all(map(single, parts)))
    return chain([beside(ops), pool, Value()])


@predictor("sklearn.ensemble.StackingClassifier", "sklearn.ensemble.StackingRegressor")
def stacking(piece: Piece, columns: Columns, context: Context) -> Op:
    parts, last_one = members(piece), child(piece, "final_estimator_")
    methods = piece.params.get("stack_method_")
    if not isinstance(methods, list) or len(methods) != len(parts):
        raise CannotLift(piece.kind, "its description does not say what each member hands on", "Describe it anew")
    if hands_on_single(piece):
        raise CannotLift(piece.kind, "its members answer in float32 only, so its last model computes in float32")
    binary = len(context.classes) == 2
    ops = [_handed_on(part, str(how), columns, context, binary) for part, how in zip(parts, methods)]
    width = handed_on = sum(_width(part, str(how), binary) for part, how in zip(parts, methods))
    if piece.params.get("passthrough"):
        own, count = numbers(piece, columns)
        ops.append(chain(own) if own else take(range(count)))
        width += count
    if context.classes and len(classes_of(last_one)) != len(context.classes):
        raise CannotLift(piece.kind, "its last model saw fewer classes than it has")
    # A member that stops at a row stops the whole, whatever the last model takes.
    return chain([beside(ops), stopped(answer(last_one, fresh(width), context), range(handed_on))])


def _width(part: Piece, how: str, binary: bool) -> int:
    classes = len(classes_of(part))
    if how == "predict" or (how == "decision_function" and classes == 2):
        return 1
    return 1 if how == "predict_proba" and binary else classes


def _handed_on(part: Piece, how: str, columns: Columns, context: Context, binary: bool) -> Op:
    """What the last model gets of a member. Of two probabilities that add up to 1, only the second."""
    if how == "predict_proba" and not binary:
        return scores(part, columns, context)
    op = member(part, columns, context)
    if how == "predict_proba":
        return told(op, "scores", columns=[1])
    if how == "decision_function":
        return told(op, "raw")
    classes = classes_of(part)
    if not classes:
        return told(op, "values")
    if not all(isinstance(one, int | float) for one in classes):
        raise CannotLift(part.kind, "it hands on labels that are text")
    return told(op, "label", values=[float(one) for one in classes])


def _picked(piece: Piece, columns: Columns, parts: list[Piece]) -> list[Columns]:
    """The features each member of a bag sees."""
    chosen = [piece.arrays.get(f"estimators_features_.{number}") for number in range(len(parts))]
    return [columns if at is None else columns.pick([int(place) for place in at]) for at in chosen]


@predictor("sklearn.ensemble.BaggingClassifier")
def bagging_classifier(piece: Piece, columns: Columns, context: Context) -> Op:
    """The mean of the members' probabilities; of one that has none its vote."""
    parts, classes = members(piece), len(context.classes)
    every = tuple(range(classes))
    ops: list[Op] = []
    for part, picked in zip(parts, _picked(piece, columns, parts)):
        if responds(part, "predict_proba"):
            ops.append(_spread(scores(part, picked, context), classes_of(part), classes))
        else:
            vote = label(part, picked, context, every)
            ops.append(chain([vote, Votes({"classes": classes}, {"weight": np.ones(1)})]))
    pool = Pool({"width": classes, "divide": float(len(parts)), "float32": False})
    return chain([beside(ops), pool, verdict(classes)])


def _spread(op: Op, seen: tuple[object, ...], classes: int) -> Op:
    if len(seen) == classes:
        return op
    return chain([op, Spread({"width": classes}, {"at": np.array(seen, dtype=np.int64)})])


@predictor("sklearn.ensemble.BaggingRegressor")
def bagging_regressor(piece: Piece, columns: Columns, context: Context) -> Op:
    parts = members(piece)
    ops = regressors(piece, parts, _picked(piece, columns, parts), context)
    pool = Pool({"width": 1, "divide": float(len(parts)), "float32": all(map(single, parts))})
    return chain([beside(ops), pool, Value()])


@predictor("sklearn.ensemble.AdaBoostClassifier")
def ada_boost_classifier(piece: Piece, columns: Columns, context: Context) -> Op:
    """SAMME (Zhu et al. 2009): weighted votes, and their softmax over classes - 1."""
    if piece.params.get("algorithm") == "SAMME.R":
        raise CannotLift(piece.kind, "algorithm='SAMME.R' is not lifted", "Train it with SAMME, the only one since 1.6")
    parts, classes = members(piece), len(context.classes)
    if classes < 2:
        raise CannotLift(piece.kind, "it has one class only")
    ops = [label(part, columns, context, context.classes) for part in parts]
    weight = piece.arrays["estimator_weights_"].astype(np.float64)
    arrays: Arrays = {"weight": weight[: len(parts)], "off": (-1 / (classes - 1) * weight)[: len(parts)]}
    voted: list[Op] = [beside(ops), Votes({"classes": classes}, arrays)]
    voted.append(Pool({"width": classes, "divide": float(weight.sum()), "float32": False}))
    if classes > 2:
        share: Op = Softmax({"factor": 1.0 / (classes - 1)})
        return chain([*voted, Beside({}, {}, [share, take(range(classes))]), verdict(classes, raw=True)])
    voted.append(_difference())
    share = chain([TwoSided({"signed": True}), Softmax({"factor": 0.5})])
    return chain([*voted, Beside({}, {}, [share, take([0])]), verdict(2, ">", raw=True)])


def _difference() -> Op:
    """Second column less the first."""
    return MatMul({}, {"weight": np.array([[-1.0], [1.0]]), "bias": np.zeros(1)})


@predictor("sklearn.ensemble.AdaBoostRegressor")
def ada_boost_regressor(piece: Piece, columns: Columns, context: Context) -> Op:
    """AdaBoost.R2 (Drucker 1997): the weighted median of the members."""
    parts = members(piece)
    ops = regressors(piece, parts, [columns] * len(parts), context)
    weight = piece.arrays["estimator_weights_"].astype(np.float64)[: len(parts)]
    return chain([beside(ops), WeightedMedian({}, {"weight": weight}), Value()])


@predictor("sklearn.multioutput.MultiOutputClassifier", "sklearn.multioutput.MultiOutputRegressor")
def multi_output(piece: Piece, columns: Columns, context: Context) -> Op:
    """A model of one target in a wrapper for several."""
    parts = members(piece)
    if len(parts) > 1:
        advice = "Give one migration per target, each with its own model"
        raise CannotLift(piece.kind, f"it predicts {len(parts)} targets, and a migration has one", advice)
    if context.classes and classes_of(last(parts[0])) != context.classes:
        raise CannotLift(piece.kind, "its one model has other classes than it says")
    return answer(parts[0], columns, context)
