"""Legacy and candidate on the same rows, once: the paired table every audit reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.migration import Roles, Task
from workbench.models import Label, Outputs

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Side:
    """One model's answers on the scored rows.

    outputs: as the model gave them. score: float64 [n], binary P(positive), else None where the model only decides.
    decision: [n], binary 0/1 (1 = selected: score >= threshold, or the model's own label where it gives no score);
    multiclass: index into classes; regression: None. value: float64 [n], regression only.
    """

    outputs: Outputs
    score: NDArray[np.float64] | None = None
    decision: NDArray[np.int64] | None = None
    value: NDArray[np.float64] | None = None
    fingerprint: str = ""
    format: str = ""


@dataclass(frozen=True)
class Scored:
    """The pair on n rows of the holdout.

    frame: the raw columns, n rows. target: binary 0/1 (1 = positive class), multiclass index into classes,
    regression float64; -1 / NaN where the truth is missing. weight: float64 [n] or None. total: rows in the holdout
    (n of them are here; fewer than total means a seeded sample). candidate: None while there is none.
    """

    frame: pd.DataFrame
    target: NDArray[np.float64] | NDArray[np.int64]
    task: Task
    roles: Roles
    classes: tuple[Label, ...]
    legacy: Side
    candidate: Side | None
    weight: NDArray[np.float64] | None
    total: int
    fingerprint: str

    def __len__(self) -> int:
        return len(self.frame)
