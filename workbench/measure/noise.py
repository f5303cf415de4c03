"""Suspected label noise: labels that contradict what out-of-fold predictions are surest of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.measure.drift import fit_bins
from workbench.measure.intervals import Estimate, wilson
from workbench.measure.separation import midranks

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

ROWS, FOLDS = 20_000, 3
SUREST, WIDER = 0.05, 0.20
"""The rows a learner is surest of, and the wider band they are held against, as shares of all rows."""
FLAT, SURE = 0.45, 0.15
"""Errors among the surest fall below a third of the wider band's where features are merely weak (logistic scores of
AUC 0.8 and more), and stay above half of it where 4 % of the labels are wrong. More than 15 % errors is not sure."""
LEAST_ERRORS, LEAST_AUC = 20, 0.8


@dataclass(frozen=True)
class Noise:
    """estimate: share of wrong labels, NaN where it cannot be told (then `reason`). auc: of the out-of-fold
    predictions. ends: by class (rows the model is surest belong to it, of these with another label, flat).
    """

    estimate: Estimate
    auc: float
    n: int
    reason: str = ""
    ends: tuple[tuple[int, int, int, bool], ...] = ()


def label_noise(frame: pd.DataFrame, labels: NDArray[np.int64], columns: Sequence[str]) -> Noise:
    """Share of labels that are probably wrong, from predictions of rows the learner has not seen.

    Confident learning (Northcutt et al. 2021, JAIR 70:1373) asks where a confident prediction and the label disagree.
    Hard rows disagree too, so a class counts as noisy only where the share of other labels is *flat* among the rows
    the learner is surest of: difficulty fades with confidence, wrong labels do not. A share of them stays as it is
    however sure the learner (Angluin and Laird 1988), and that share is the estimate, with Wilson's interval.

    labels: [n], index of the class, -1 where unknown. At most `ROWS` rows are looked at, evenly spread.
    """
    import numpy as np

    known = np.flatnonzero(labels >= 0)
    chosen = known[np.linspace(0, len(known) - 1, min(ROWS, len(known))).astype(int)] if len(known) else known
    truth = labels[chosen]
    counts = np.bincount(truth, minlength=2)
    if (counts > 0).sum() < 2 or counts[counts > 0].min() < 10 * FOLDS:
        return _unknown(len(truth), "too few rows of each class to learn from")
    scores = _out_of_fold(_encoded(frame.iloc[chosen], columns), truth)
    auc = _auc(scores, truth)
    if auc < LEAST_AUC:
        return _unknown(
            len(truth), f"the features tell too little of the label (AUC {auc:.2f}) to know noise from chance", auc
        )
    ends = tuple(_end(scores[:, j], truth == label, int(label)) for j, label in enumerate(np.unique(truth)))
    noisy = [(rows, wrong) for _, rows, wrong, flat in ends if flat]
    if not noisy:
        return Noise(Estimate(0.0), auc, len(truth), ends=ends)
    rows, wrong = sum(r for r, _ in noisy), sum(w for _, w in noisy)
    return Noise(Estimate(wrong / rows, *wilson(wrong, rows)), auc, len(truth), ends=ends)


def _unknown(n: int, reason: str, auc: float = float("nan")) -> Noise:
    return Noise(Estimate(float("nan")), auc, n, reason)


def _encoded(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.float64]:
    import numpy as np

    coded = [fit_bins(frame[name], bins=64, categories=50).codes(frame[name]) for name in columns]
    return np.stack(coded, axis=1).astype(np.float64) if coded else np.zeros((len(frame), 1))


def _out_of_fold(features: NDArray[np.float64], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    learner = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    scores: NDArray[np.float64] = cross_val_predict(learner, features, truth, cv=folds, method="predict_proba")
    return scores


def _auc(scores: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Mean over classes of one class against the rest."""
    import numpy as np

    parts = []
    for j, label in enumerate(np.unique(truth)):
        own = truth == label
        m = own.sum()
        parts.append((midranks(scores[:, j])[own].sum() - m * (m + 1) / 2) / (m * (len(own) - m)))
    return float(np.mean(parts))


def _end(score: NDArray[np.float64], own: NDArray[np.bool_], label: int) -> tuple[int, int, int, bool]:
    """The surest rows of a class, those of them labelled otherwise, and whether their share is flat there."""
    import numpy as np

    wrong = ~own[np.argsort(-score, kind="stable")]
    n = int(min(SUREST * len(score), own.sum()))
    surest, wider = wrong[:n], wrong[n : int(n * WIDER / SUREST)]
    sure = surest.sum() >= LEAST_ERRORS and surest.mean() <= SURE
    return label, n, int(surest.sum()), bool(sure and surest.mean() >= FLAT * wider.mean())
