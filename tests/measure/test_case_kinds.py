"""Which rows are shown one by one: against a sort by hand."""

from __future__ import annotations

import numpy as np

from workbench.measure.case_kinds import FLIPPED, kinds
from workbench.measure.cases import CHANGED, NEAREST, RANDOM


def test_every_kind_worst_first_and_what_is_not_there_is_left_out() -> None:
    before = np.array([0.1, 0.49, 0.9, 0.52, np.nan, 0.3])
    after = np.array([0.1, 0.51, 0.4, 0.53, 0.2, 0.3])
    flipped = np.array([False, True, True, False, False, False])
    sex = np.array(["f", "m", "f", "m", "f", "f"])
    found = kinds(
        6, 3, distance=np.abs(before - 0.5), change=after - before, flipped=flipped, groups={"sex": sex}, seed=0
    )
    assert found[FLIPPED].tolist() == [2, 1], "the larger change first"
    assert found[NEAREST].tolist() == [1, 3, 5], "no score, no distance"
    assert found[CHANGED].tolist() == [2, 1, 3], "rows without a change are not among them"
    assert len(found["sex: f"]) == 3
    assert set(sex[found["sex: f"]]) == {"f"}
    assert found["sex: m"].tolist() == [1, 3]
    assert len(found[RANDOM]) == 3
    alike = kinds(6, 3, distance=None, change=np.zeros(6), flipped=np.zeros(6, bool), groups={})
    assert list(alike) == [RANDOM]
