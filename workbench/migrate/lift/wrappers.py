"""Wrappers: models around a model, which calibrate it, choose it, set its threshold, or split its classes."""

from __future__ import annotations

import numpy as np

from workbench.migrate.lift.columns import (
    CannotLift,
    Columns,
    Context,
    answer,
    chain,
    convert,
    numbers,
    predictor,
    take,
    transformer,
)
from workbench.migrate.lift.committee_ops import (
    Capped,
    Constant,
    Isotonic,
    Pairs,
    Platt,
    Pool,
    Relabel,
    Shares,
    Softmax,
    Spread,
    TwoSided,
    Value,
)
from workbench.migrate.lift.committees import beside, verdict
from workbench.migrate.lift.members import (
    child,
    classes_of,
    member,
    members,
    place,
    responds,
    response,
    scores,
    told,
)
from workbench.migrate.lift.ops import Beside, Op
from workbench.models.nested import INSIDE, single
from workbench.models.protocol import Piece

SEARCHES = tuple(kind for kind in INSIDE if kind.endswith("SearchCV"))


@predictor(*SEARCHES, "sklearn.frozen.FrozenEstimator")
def found(piece: Piece, columns: Columns, context: Context) -> Op:
    """A search answers by the best model it found; a frozen model by itself."""
    return answer(child(piece, INSIDE[piece.kind]), columns, context)


@transformer("sklearn.frozen.FrozenEstimator")
def frozen(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    return convert(child(piece, INSIDE[piece.kind]), columns, context)


@predictor("sklearn.model_selection.FixedThresholdClassifier", "sklearn.model_selection.TunedThresholdClassifierCV")
def threshold(piece: Piece, columns: Columns, context: Context) -> Op:
    """The model's own scores; its decision by one of them and a threshold."""
    inner = dict(piece.children).get("estimator_")
    inner = child(piece, "estimator") if inner is None else inner
    wish = str(piece.params.get("response_method", "auto"))
    ways = ("predict_proba", "decision_function") if wish == "auto" else (wish,)
    how = responds(inner, *ways)
    if not how:
        raise CannotLift(piece.kind, f"the model inside it has no {' or '.join(ways)}")
    cut = piece.params.get("best_threshold_", piece.params.get("threshold", "auto"))
    cut = (0.5 if how == "predict_proba" else 0.0) if cut == "auto" else cut
    classes = context.classes
    positive = piece.params.get("pos_label_", piece.params.get("pos_label"))
    second = 1 if positive is None else place(positive, classes, piece)  # type: ignore[arg-type]
    config = {
        "column": second if how == "predict_proba" else -1,
        "negative": how != "predict_proba" and second == 0,
        "threshold": float(cut),  # type: ignore[arg-type]
    }
    return Relabel(config, {"places": np.array([1 - second, second])}, [answer(inner, columns, context)])


@predictor("sklearn.calibration.CalibratedClassifierCV")
def calibrated(piece: Piece, columns: Columns, context: Context) -> Op:
    """The mean of its calibrated models."""
    parts, classes = members(piece, "calibrated_classifiers_"), len(context.classes)
    ops = [_calibrated(part, columns, context) for part in parts]
    pool = Pool({"width": classes, "divide": float(len(parts)), "float32": False})
    return chain([beside(ops), pool, verdict(classes)])


@predictor("sklearn.calibration._CalibratedClassifier")
def one_calibrated(piece: Piece, columns: Columns, context: Context) -> Op:
    return chain([_calibrated(piece, columns, context), verdict(len(context.classes))])


@predictor(
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.isotonic.IsotonicRegression",
)
def curve(piece: Piece, columns: Columns, context: Context) -> Op:
    """A calibration curve on its own: a regression of one column."""
    before, count = numbers(piece, columns)
    if count != 1 or context.task != "regression" or piece.kind.endswith("_TemperatureScaling"):
        raise CannotLift(piece.kind, "it is a curve within a calibrated classifier, and no model by itself")
    return chain([*before, *_curve(piece, 0, 1), Value()])


def _calibrated(piece: Piece, columns: Columns, context: Context) -> Op:
    """One model, and a curve for each of its classes, or one for all."""
    inner = dict(piece.children).get("estimator")
    inner = child(piece, "base_estimator") if inner is None else inner
    curves = [part for name, part in piece.children if name.startswith(("calibrators.", "calibrators_."))]
    classes, seen = context.classes, classes_of(inner)
    if len(seen) == 2:
        op, how = response(inner, columns, context)
    else:
        how = responds(inner, "decision_function", "predict_proba")
        given = how == "decision_function"
        op = told(member(inner, columns, context), "raw") if given else scores(inner, columns, context)
    if piece.params.get("method") == "temperature":
        return _temperature(piece, curves, op, how, single(inner), len(seen))
    if len(curves) != (1 if len(seen) == 2 else len(seen)):
        raise CannotLift(piece.kind, f"it has {len(curves)} curves for {len(seen)} classes")
    chances = [chain([op, *_curve(curve, at, len(curves))]) for at, curve in enumerate(curves)]
    places = [place(one, classes, piece) for one in seen]
    if len(classes) == 2:
        return chain([*chances, TwoSided(), Capped()])
    at = places[1:] if len(seen) == 2 else places
    wide: list[Op] = [beside(chances)]
    if at != list(range(len(classes))):
        wide.append(Spread({"width": len(classes)}, {"at": np.array(at)}))
    return chain([*wide, Shares({"uniform": True, "float32": False}), Capped()])


def _curve(piece: Piece, at: int, count: int) -> list[Op]:
    """From the model's answers to one class's calibrated score."""
    own: list[Op] = [take([at])] if count > 1 else []
    if piece.kind == "sklearn.calibration._SigmoidCalibration":
        slope, intercept = (np.array([float(piece.params[name])]) for name in ("a_", "b_"))  # type: ignore[arg-type]
        return [*own, Platt({}, {"slope": slope, "intercept": intercept})]
    if piece.params.get("out_of_bounds") == "clip" and "X_thresholds_" in piece.arrays:
        x, y = piece.arrays["X_thresholds_"], piece.arrays["y_thresholds_"]
        config = {"float32": x.dtype == np.float32}
        return [*own, Isotonic(config, {"at": x.astype(np.float64), "value": y.astype(np.float64)})]
    raise CannotLift(piece.kind, "a calibration curve of this kind is not known here")


def _temperature(piece: Piece, curves: list[Piece], op: Op, how: str, float32: bool, classes: int) -> Op:
    if float32:
        raise CannotLift(piece.kind, "its model answers in float32, and its temperature is applied in float32")
    factor = float(curves[0].params["beta_"])  # type: ignore[arg-type]
    chance = how == "predict_proba"
    sides: list[Op] = [TwoSided({"signed": not chance})] if classes == 2 else []
    return chain([op, *sides, Softmax({"factor": factor, "log": chance}), Capped()])


@predictor("sklearn.multiclass.OneVsRestClassifier")
def one_against_rest(piece: Piece, columns: Columns, context: Context) -> Op:
    parts, classes = members(piece), len(context.classes)
    if piece.params.get("multilabel_") or len(parts) != (1 if classes == 2 else classes):
        raise CannotLift(piece.kind, f"it has {len(parts)} members for {classes} classes: several labels a row")
    rule, cut = ("argmax", 0.0) if classes > 2 else (">", _cut(parts[0]))
    decided = all(_margin(part) for part in parts)
    if not all(classes_of(part) and responds(part, "predict_proba") for part in parts):
        decisions = [response(part, columns, context)[0] for part in parts]
        return chain([beside(decisions), verdict(0, rule, threshold=cut, raw=decided)])
    both = [_both(part, "scores", columns, context) for part in parts]
    sides: list[Op] = [TwoSided()] if classes == 2 else []
    share = chain(
        [take(range(0, 2 * len(parts), 2)), *sides, Shares({"uniform": False, "float32": all(map(single, parts))})]
    )
    split = Beside({}, {}, [share, take(range(1, 2 * len(parts), 2))])
    return chain([beside(both), split, verdict(classes, rule, threshold=cut, raw=decided)])


def _margin(part: Piece) -> bool:
    return bool(classes_of(part) and responds(part, "decision_function"))


def _cut(part: Piece) -> float:
    """Where the library divides two classes: 0 of a margin, else 0.5."""
    return 0.0 if _margin(part) else 0.5


def _both(part: Piece, what: str, columns: Columns, context: Context) -> Op:
    """Of a binary classifier [label or P(second class), its margin or again P(second class)]."""
    if classes_of(part) != (0, 1):
        raise CannotLift(part.kind, "it is no model of two classes, 0 and 1, as its owner makes them")
    if not responds(part, "decision_function", "predict_proba"):
        raise CannotLift(part.kind, "it gives neither a margin nor probabilities, and its owner asks for one")
    return told(member(part, columns, context), what, "raw" if _margin(part) else "scores", columns=[1])


@predictor("sklearn.multiclass.OneVsOneClassifier")
def one_against_one(piece: Piece, columns: Columns, context: Context) -> Op:
    """Votes, and between equal ones the sum of margins."""
    parts, classes = members(piece), len(context.classes)
    if len(parts) != classes * (classes - 1) // 2:
        raise CannotLift(piece.kind, f"it has {len(parts)} members for {classes} classes")
    if piece.arrays.keys() & {"pairwise_indices_.0"}:
        raise CannotLift(piece.kind, "its members take distances between rows, not rows")
    both = [_both(part, "label", columns, context) for part in parts]
    order = [*range(0, 2 * len(parts), 2), *range(1, 2 * len(parts), 2)]
    voted = [beside(both), take(order), Pairs({"classes": classes})]
    if classes > 2:
        return chain([*voted, verdict(0, raw=True)])
    return chain([*voted, take([1]), verdict(0, ">", threshold=_cut(parts[0]), raw=True)])


@predictor("sklearn.dummy.DummyClassifier")
def dummy_classifier(piece: Piece, columns: Columns, context: Context) -> Op:
    strategy, classes = str(piece.params.get("strategy")), context.classes
    prior = np.atleast_2d(piece.arrays["class_prior_"].astype(np.float64))
    if strategy in ("stratified", "uniform"):
        raise CannotLift(piece.kind, f"strategy={strategy!r} answers by chance", "Take strategy='prior'")
    best = int(prior[0].argmax())
    if strategy == "constant":
        best = place(_one(piece.params.get("constant")), classes, piece)  # type: ignore[arg-type]
    row = prior if strategy == "prior" else np.eye(len(classes))[[best]]
    return chain([Constant({}, {"row": row}), verdict(len(classes))])


def _one(value: object) -> object:
    return value[0] if isinstance(value, list) else value


@predictor("sklearn.dummy.DummyRegressor")
def dummy_regressor(piece: Piece, columns: Columns, context: Context) -> Op:
    return chain([Constant({}, {"row": piece.arrays["constant_"].astype(np.float64).reshape(1, -1)[:, :1]}), Value()])
