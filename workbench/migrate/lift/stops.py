"""Models that stop at a number that is missing or infinite: the lifted one gives such a row no answer.

Where scikit-learn raises, it raises for the whole table; here the rows beside it keep their answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from workbench.migrate.lift.ops import Op, Outputs
from workbench.models.protocol import Piece

Version = tuple[int, int]
NEVER: Version = (999, 0)

ACCEPTS: dict[str, Version] = {
    **dict.fromkeys(("tree.DecisionTreeClassifier", "tree.DecisionTreeRegressor"), (1, 3)),
    **dict.fromkeys(("ensemble.RandomForestClassifier", "ensemble.RandomForestRegressor"), (1, 4)),
    **dict.fromkeys(("tree.ExtraTreeClassifier", "tree.ExtraTreeRegressor"), (1, 6)),
    **dict.fromkeys(("ensemble.ExtraTreesClassifier", "ensemble.ExtraTreesRegressor"), (1, 6)),
    **dict.fromkeys(("ensemble.BaggingClassifier", "ensemble.BaggingRegressor"), (0, 20)),
    **dict.fromkeys(("ensemble.GradientBoostingClassifier", "ensemble.GradientBoostingRegressor"), NEVER),
    **dict.fromkeys(("ensemble.AdaBoostClassifier", "ensemble.AdaBoostRegressor"), NEVER),
    **dict.fromkeys(("neighbors.KNeighborsClassifier", "neighbors.KNeighborsRegressor"), NEVER),
    **dict.fromkeys(("neighbors.RadiusNeighborsClassifier", "neighbors.RadiusNeighborsRegressor"), NEVER),
    **dict.fromkeys(("svm.SVC", "svm.NuSVC", "svm.SVR", "svm.NuSVR"), NEVER),
}
"""Of scikit-learn's models that would answer such rows here: since which version they take missing numbers. Others
compute NaN of NaN by themselves, or hand the rows on."""

WITH_MISSING = ("gini", "log_loss", "entropy", "squared_error", "friedman_mse", "poisson", "mse")
"""Criteria of trees that take missing numbers; since 1.8 all do."""


class Stopped(Op):
    """Its part's answers, none for rows with a number in the columns `at` [k] that is missing or infinite."""

    name = "stopped"
    at: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        off = ~x.index_select(1, self.at).isfinite().all(dim=1)
        answers: Outputs = self.parts[0](x, codes)
        return {name: without(answer, off) for name, answer in answers.items()}


def without(answer: Tensor, off: Tensor) -> Tensor:
    """Scores, values or labels with none in the rows that are off [n]."""
    none = torch.nan if answer.is_floating_point() else -1
    return torch.where(off if answer.dim() == 1 else off[:, None], none, answer)


def stopped(op: Op, at: Sequence[int]) -> Op:
    return Stopped({}, {"at": np.array(at, dtype=np.int64)}, [op]) if len(at) else op


def stops(piece: Piece) -> bool:
    """Whether the library stops where a number is missing."""
    since = ACCEPTS.get(piece.kind.removeprefix("sklearn."))
    if since is None or piece.params.get("metric") == "nan_euclidean":
        return False
    if _version(piece) < since:
        return True
    if ".Bagging" in piece.kind or _version(piece) >= (1, 8):
        return False
    said = piece.params
    random = said.get("splitter") == "random" and _version(piece) < (1, 6)
    return said.get("monotonic_cst") is not None or said.get("criterion", "gini") not in WITH_MISSING or random


def _version(piece: Piece) -> Version:
    """An unknown version is a new one, of which only what stops in every version stops."""
    parts = piece.version.split(".")[:2]
    return (int(parts[0]), int(parts[1])) if len(parts) == 2 and all(p.isdigit() for p in parts) else (998, 0)
