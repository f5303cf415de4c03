"""Every row counted where it lies: the same figures as of the rows in memory, and refusals where it cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench import catalog
from workbench.data import counts, open_data
from workbench.measure.fairness_paired import Assessed, Plan
from workbench.measure.fairness_people import Sampled
from workbench.measure.fairness_whole import counted
from workbench.measure.matched import WeightError
from workbench.migration import open_migration
from workbench.scored import Scored, score

ATTRIBUTES = ("sex", "age", "income", "kids", "born")
YAML = """version: 1
name: whole
data: {{holdout: {file}, sample: 2000}}
legacy: {{uri: "column:{legacy}", options: {{classes: ["no", "yes"]}}}}
candidate: {{uri: "column:{candidate}", options: {{classes: ["no", "yes"]}}}}
task: {{kind: binary, target: y, positive: "yes", threshold: 0.37}}
roles: {{protected: [sex, age, income, kids, born]{weight}}}
"""
Made = Callable[..., Scored]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 2000
    before = rng.beta(2, 2, n)
    after = np.clip(before + rng.normal(0, 0.05, n), 0, 1)
    after[:300] = np.round(after[:300], 2)  # on the edges of the bins
    made = pd.DataFrame({"sex": rng.choice(["f", "m", None], n, p=[0.5, 0.45, 0.05]), "age": rng.integers(18, 90, n)})
    made["income"], made["kids"] = rng.normal(50, 10, n), rng.integers(0, 4, n).astype(float)
    made["born"] = pd.Timestamp("1990-01-01") + pd.to_timedelta(rng.integers(0, 9000, n), "D")
    made["y"] = np.where(rng.random(n) < before, "yes", "no")
    made["said"] = np.where(rng.random(n) < 0.1, "no", np.where(before >= 0.5, "yes", "no"))
    made = made.assign(a=before, b=after, w=rng.random(n))
    made.loc[:20, "y"], made.loc[3:9, "kids"], made.loc[10:30, "income"], made.loc[7, "a"] = (
        None,
        np.nan,
        np.nan,
        np.nan,
    )
    made.loc[50, "sex"] = "a value of one person"
    return made


@pytest.fixture(scope="module")
def made(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("whole")
    frame.to_parquet(folder / "rows.parquet")
    frame.to_csv(folder / "rows.csv", index=False)

    def scored(legacy: str, candidate: str, weight: str = "", file: str = "rows.parquet") -> Scored:
        text = YAML.format(
            legacy=legacy, candidate=candidate, file=file, weight=f", weight: {weight}" if weight else ""
        )
        (folder / "migration.yaml").write_text(text)
        # As if there were one row more than were sampled: those in memory are then all of them.
        return replace(found := score(open_migration(folder)), total=found.total + 1)

    return scored


def _same(mine: Assessed, expected: Assessed) -> None:
    assert (mine.name, mine.small, mine.n) == (expected.name, expected.small, expected.n)
    for (title, table), (own_title, own) in zip(expected.tables.items(), mine.tables.items()):
        if title == "Score metrics":
            loose = float(own_title.split("±")[1].rstrip(")"))
            difference = (own.set_index(["group", "model"]) - table.set_index(["group", "model"])).abs().max()
            assert difference.pop("auc") <= loose < 0.01
            assert difference.max() < 1e-12
        else:
            pd.testing.assert_frame_equal(own, table, rtol=1e-9, check_dtype=False)
    assert mine.bars == expected.bars
    for (_, one), (_, two) in zip(mine.gaps, expected.gaps, strict=True):
        assert (one.lowest, one.highest, one.n) == (two.lowest, two.highest, two.n)
        assert one.change == pytest.approx(two.change)
        assert one.candidate == pytest.approx(two.candidate)
    assert (mine.explored is None) == (expected.explored is None)
    if mine.explored is not None and expected.explored is not None:
        for side, curve in expected.explored.curve.items():
            pd.testing.assert_frame_equal(mine.explored.curve[side], curve)
        pd.testing.assert_frame_equal(mine.explored.there, expected.explored.there)


@pytest.mark.parametrize(
    ("legacy", "candidate", "weight", "file"),
    [("a", "b", "", "rows.parquet"), ("a", "b", "w", "rows.csv"), ("said", "b", "", "rows.csv")],
)
def test_what_is_counted_in_place_is_what_memory_holds(
    made: Made, legacy: str, candidate: str, weight: str, file: str
) -> None:
    scored = made(legacy, candidate, weight, file)
    memory, place = Sampled(scored), counted(scored, ATTRIBUTES)
    assert place is not None
    assert (place.n, place.known) == (memory.n, memory.known)
    assert place.one_answer() == memory.one_answer()
    for mine, expected in zip(place.order(), memory.order()):
        assert mine.value == pytest.approx(expected.value, abs=2e-3)
        assert mine.low <= expected.low < expected.high <= mine.high
    plan = Plan(draws=100)
    found, wanted = (list(people.assessed(ATTRIBUTES, 1, plan)) for people in (place, memory))
    assert len(found) == 5
    for one, other in zip(found, wanted, strict=True):
        _same(one, other)
    assert "a value of one person" not in str([table for one in found for table in one.tables.values()])


@pytest.mark.parametrize("crossed", [1, 500])
def test_intersections_are_the_same_whether_all_are_counted_at_once_or_each_alone(
    made: Made, monkeypatch: pytest.MonkeyPatch, crossed: int
) -> None:
    scored = made("a", "b")
    monkeypatch.setattr("workbench.measure.fairness_whole.CROSSED", crossed)
    place = counted(scored, ATTRIBUTES[:2], 2)
    assert place is not None
    plan = Plan(draws=100)
    found, wanted = (list(p.assessed(ATTRIBUTES[:2], 2, plan)) for p in (place, Sampled(scored)))
    for one, other in zip(found, wanted, strict=True):
        _same(one, other)


def test_what_cannot_be_read_in_place_is_left_to_the_sample(made: Made) -> None:
    scored = made("a", "b")
    assert counted(replace(scored, total=len(scored)), ATTRIBUTES) is None
    assert counted(replace(scored, whole=None), ATTRIBUTES) is None
    assert counted(replace(scored, task=scored.task.model_copy(update={"positive": "no"})), ATTRIBUTES) is None


def test_scores_of_too_many_values_to_be_told_apart_are_held_against_the_threshold(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = made("a", "b")
    monkeypatch.setattr(counts, "distinct", partial(counts.distinct, most=1000))
    place = counted(scored, ATTRIBUTES[:1])
    assert place is not None
    plan = Plan(draws=100)
    [one], [other] = (list(people.assessed(ATTRIBUTES[:1], 1, plan)) for people in (place, Sampled(scored)))
    _same(one, other)
    assert counted(replace(scored, task=scored.task.model_copy(update={"target": "income"})), ATTRIBUTES) is None


def test_bad_weights_are_refused_before_anything_is_counted(made: Made) -> None:
    scored = made("a", "b", "w")
    with pytest.raises(WeightError, match="1 of 2,000 weights"):
        counted(replace(scored, roles=scored.roles.model_copy(update={"weight": "a"})), ATTRIBUTES)


def test_the_audit_reads_every_row_though_few_are_sampled(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "rows.parquet")
    text = YAML.format(legacy="a", candidate="b", file="rows.parquet", weight="").replace("2000", "300")
    (tmp_path / "migration.yaml").write_text(text)
    found = {one.key: one for one in catalog.run(open_migration(tmp_path), "bias", {"draws": 300}).findings}
    assert found["bias/selection-rate-gap[age]"].legacy.n == 1999
    assert found["bias/order"].legacy.n == 1979
    selected = frame[frame.a.notna()].groupby(frame.sex.fillna("(missing)"))[["b"]].agg(lambda b: (b >= 0.37).mean())
    gap = found["bias/selection-rate-gap[sex]"].candidate
    shares = selected.loc[["f", "m", "(missing)"], "b"]
    assert gap.value == pytest.approx(shares.max() - shares.min())
    assert open_data("rows.parquet", tmp_path).rows == 2000
