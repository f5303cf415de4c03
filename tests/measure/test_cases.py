"""Sampling plan and agreement, against published tables and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from workbench.measure import cases


def test_the_plan_takes_a_quarter_of_each_kind_and_no_row_twice() -> None:
    rng = np.random.default_rng(0)
    distance, change = rng.random(1000), rng.normal(size=1000)
    groups = {"sex": rng.choice(["f", "m"], 1000), "age": rng.choice(["young", "old"], 1000, p=[0.01, 0.99])}
    picked = cases.sample(24, 1000, distance=distance, change=change, groups=groups, seed=3)
    rows = [row for row, _ in picked]
    assert len(rows) == len(set(rows)) == 24
    why = [reason for _, reason in picked]
    assert why.count(cases.NEAREST) == why.count(cases.CHANGED) == 6
    assert set(np.argsort(distance)[:6]) == {row for row, reason in picked if reason == cases.NEAREST}
    assert {"sex: f", "sex: m", "age: young", "age: old"} <= set(why)
    assert picked == cases.sample(24, 1000, distance=distance, change=change, groups=groups, seed=3)
    assert picked != cases.sample(24, 1000, distance=distance, change=change, groups=groups, seed=4)


@given(st.integers(1, 40), st.integers(0, 30), st.booleans(), st.booleans())
def test_whatever_is_lacking_the_plan_is_filled_up(n: int, rows: int, has_scores: bool, has_groups: bool) -> None:
    values = np.full(rows, np.nan)
    values[::2] = 0.5
    picked = cases.sample(
        n, rows, distance=values if has_scores else None, change=values if has_scores else None,
        groups={"g": np.arange(rows) % 3} if has_groups else {}, seed=1,
    )  # fmt: skip
    assert len({row for row, _ in picked}) == len(picked) == min(n, rows)


def test_fleiss_kappa_is_that_of_the_published_table() -> None:
    """Fleiss (1971) as worked through in textbooks: ten subjects, fourteen raters, five categories; kappa 0.210."""
    table = np.array([
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ])  # fmt: skip
    assert cases.fleiss_kappa(table) == pytest.approx(0.210, abs=5e-4)


def test_cohen_kappa_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        first, second = rng.choice(list("abc"), 30).tolist(), rng.choice(list("abc"), 30).tolist()
        assert cases.cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


def test_where_chance_explains_everything_there_is_no_kappa() -> None:
    assert np.isnan(cases.cohen_kappa(["a", "a"], ["a", "a"]))
    assert np.isnan(cases.fleiss_kappa(np.array([[3, 0], [3, 0]])))
    assert np.isnan(cases.fleiss_kappa(np.array([[1, 0], [0, 1]])))
