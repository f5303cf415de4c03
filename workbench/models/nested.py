"""Models inside models, as pieces: where each stands, which one answers, and in which precision."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.models.protocol import Piece

INSIDE = {
    "sklearn.model_selection.GridSearchCV": "best_estimator_",
    "sklearn.model_selection.RandomizedSearchCV": "best_estimator_",
    "sklearn.model_selection.HalvingGridSearchCV": "best_estimator_",
    "sklearn.model_selection.HalvingRandomSearchCV": "best_estimator_",
    "sklearn.frozen.FrozenEstimator": "estimator",
    "sklearn.model_selection.FixedThresholdClassifier": "estimator_",
    "sklearn.model_selection.TunedThresholdClassifierCV": "estimator_",
}
"""Wrappers of one model, and the name of that model among their parts."""


WORDS = {
    "best_estimator_": "best model",
    "final_estimator_": "last model",
    "init_": "start",
    "estimator": "model",
    "estimator_": "model",
    "regressor_": "model",
    "transformer_": "target",
    "_preprocessor": "categories",
    "estimators_": "member",
    "calibrated_classifiers_": "fold",
    "calibrators": "curve",
}
"""How a part is called that its owner has no better name for."""


def paths(piece: Piece, path: str = "") -> list[tuple[str, Piece]]:
    """This piece and all below it, each with its place as a person would say it: "Pipeline > vote > scaler"."""
    path = path or piece.kind.rpartition(".")[2]
    names = piece.params.get("members_")
    found = [(path, piece)]
    for name, part in piece.children:
        found += paths(part, f"{path} > {_called(name, names if isinstance(names, list) else [])}")
    return found


def _called(name: str, names: Sequence[object]) -> str:
    stem, _, number = name.rpartition(".")
    if stem in WORDS and number.isdigit():
        at = int(number)
        return str(names[at]) if stem == "estimators_" and at < len(names) else f"{WORDS[stem]} {at + 1}"
    return WORDS.get(name, name)


def last(piece: Piece) -> Piece:
    """The model that answers: behind pipelines and wrappers of one model."""
    while True:
        parts = dict(piece.children)
        if piece.kind == "sklearn.pipeline.Pipeline" and piece.children:
            piece = piece.children[-1][1]
        elif INSIDE.get(piece.kind) in parts:
            piece = parts[INSIDE[piece.kind]]
        else:
            return piece


def members(piece: Piece, name: str = "estimators_") -> list[Piece]:
    """The fitted models of a committee, in its order."""
    return [part for key, part in piece.children if key.startswith(f"{name}.")]


def single(piece: Piece) -> bool:
    """Whether the library gives the model's answers in float32."""
    return last(piece).kind.startswith("xgboost.")


def hands_on_single(piece: Piece) -> bool:
    """Whether a stack's last model, one that is no tree ensemble, gets nothing but float32: it then computes in it."""
    parts, end = members(piece), dict(piece.children).get("final_estimator_")
    return (
        bool(parts)
        and all(map(single, parts))
        and not piece.params.get("passthrough")
        and end is not None
        and (end.trees is None)
    )


def temperature_of_single(piece: Piece) -> bool:
    """Whether a temperature is applied to answers in float32, and so in float32."""
    inner = dict(piece.children).get("estimator")
    return piece.params.get("method") == "temperature" and inner is not None and single(inner)


def started_by_no_trees(piece: Piece) -> bool:
    """Whether boosting starts from a model that computes in the float32 it is given, and is no tree ensemble."""
    start = dict(piece.children).get("init_")
    return start is not None and start.trees is None


def weighted_metric(piece: Piece) -> bool:
    """Whether a metric has parameters besides p."""
    given = piece.params.get("effective_metric_params_")
    return isinstance(given, dict) and any(value is not None for name, value in given.items() if name != "p")


def strange_outliers(piece: Piece) -> bool:
    """Whether rows without neighbours get a label that is no class."""
    label = piece.params.get("outlier_label_")
    label = label[0] if isinstance(label, list) else label
    return label is not None and label not in piece.arrays["classes_"].tolist()


def old_centroids(piece: Piece) -> bool:
    return "within_class_std_dev_" not in piece.arrays


def depths_unknown(piece: Piece) -> bool:
    return "_average_path_length_per_tree.0" not in piece.arrays or "_decision_path_lengths.0" not in piece.arrays


CONDITIONS = {
    "depths unknown": depths_unknown,
    "weighted metric": weighted_metric,
    "strange outlier label": strange_outliers,
    "centroids of old": old_centroids,
    "hands on float32": hands_on_single,
    "temperature of float32": temperature_of_single,
    "started by no trees": started_by_no_trees,
}
"""What `knowledge.json` asks by name."""
