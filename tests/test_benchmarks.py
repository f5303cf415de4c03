"""The benchmarks' own parts, and the errors of other tools that they claim to reproduce."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # not a package that is installed

from benchmarks import coverage, fidelity, gap_simulations, places, simulations, tables, trees
from benchmarks.guest import Guest, GuestError
from benchmarks.shapes import SHAPES, names, rows
from benchmarks.timing import Timed, race
from workbench.measure import fairness
from workbench.measure.intervals import Estimate


def _lasting(milliseconds: float) -> Timed:
    """A side that says how long it took, and takes no time."""
    jitter = np.random.default_rng(int(milliseconds * 10))

    def timed(calls: int) -> tuple[int, int]:
        took = int(calls * milliseconds * 1e6 * float(np.exp(jitter.normal(0, 0.002))))
        return took, 2 * took

    return timed


def test_a_race_finds_the_ratio_and_leaves_out_what_does_not_fit_the_time() -> None:
    sides = {"ours": _lasting(1.0), "twice": _lasting(2.0), "slow": _lasting(1e5)}
    raced, left_out = race(sides, block=0.02, seconds=5.0, most=10, seed=0)
    assert raced.names == ("ours", "twice", "control")
    assert list(left_out) == ["slow"]
    ratio = raced.ratio("twice")
    assert ratio.low < 2.0 < ratio.high
    assert ratio.high - ratio.low < 0.05
    assert raced.stable
    assert raced.ratio("twice", "cpu").value == pytest.approx(2.0, abs=0.02)


def test_answers_are_alike_or_told_apart() -> None:
    own = np.array([[0.2, 0.8], [0.6, 0.4]])
    assert trees.differs(own, own + 1e-7) == ""
    assert "1 of 2 labels" in trees.differs(own, own[[0, 0]])
    assert trees.differs(own, own + 1e-3) != ""
    assert trees.differs(own, np.full_like(own, np.nan)) != ""


def test_rows_are_numbers_that_float32_holds() -> None:
    for shape in SHAPES:
        X = shape.rows(500, 3)
        assert np.array_equal(X, X.astype(np.float32).astype(np.float64), equal_nan=True)
        assert np.isnan(X).any() == shape.missing
    assert list(SHAPES[0].frame(X).columns) == names()
    coded = next(shape for shape in SHAPES if shape.coded and shape.family == "lightgbm")
    frame = coded.frame(coded.rows(500, 3))
    assert isinstance(frame["f2"].dtype, pd.CategoricalDtype)


def test_shapley_values_by_definition_of_a_product_and_a_sum() -> None:
    """x0·x1 against a background of zeros shares the product equally; a sum gives each its own term."""
    asked, background = np.array([[2.0, 3.0, 5.0]]), np.zeros((4, 3))
    values = fidelity.by_definition(lambda X: X[:, 0] * X[:, 1] + 7 * X[:, 2], asked, background)
    assert values == pytest.approx(np.array([[3.0, 3.0, 35.0]]))


def test_a_guest_answers_refuses_and_ends() -> None:
    guest = Guest(Path(sys.executable), "benchmarks.onnx_side", 1)
    try:
        with pytest.raises(GuestError, match="FileNotFoundError"):
            guest.ask("convert", file="none.pkl", to="none.onnx", family="sklearn", features=1)
    finally:
        guest.close()


def test_a_section_is_written_between_its_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.md"
    page.write_text("before\n<!-- one -->\nold\n<!-- /one -->\nafter\n")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    tables.write("page.md", "one", "new")
    tables.write("page.md", "one", "newer")
    assert page.read_text() == "before\n<!-- one -->\nnewer\n<!-- /one -->\nafter\n"
    with pytest.raises(ValueError, match="add both lines"):
        tables.write("page.md", "two", "new")


def test_numbers_keep_three_digits() -> None:
    shown = [tables.number(value) for value in (2.0, 12.34, 1234.6, 0.01234, 1.2e-9, math.nan, 5)]
    assert shown == ["2.00", "12.3", "1,235", "0.0123", "1.2e-09", "", "5"]


def test_the_page_has_a_place_for_every_part() -> None:
    text = (places.ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    for section in ("trees", "fidelity", "measures"):
        assert f"<!-- {section} -->" in text
        assert f"<!-- /{section} -->" in text


def _is_exact(found: fidelity.Case) -> None:
    assert found.ours_flips == 0
    assert found.ours_off < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [fidelity.xgboost_base_score, fidelity.hist_missing, fidelity.hist_categories, fidelity.lightgbm_missing]
)
def test_hummingbird_changes_labels_and_ours_does_not(case, tmp_path: Path) -> None:
    _need("hummingbird")
    found = case(tmp_path)
    assert found.flips > 100
    assert found.off > 0.1
    _is_exact(found)


@pytest.mark.slow
def test_hummingbird_refuses_text_and_ours_does_not(tmp_path: Path) -> None:
    _need("hummingbird")
    found = fidelity.pipeline_strings(tmp_path)
    assert math.isnan(found.flips)
    assert "Error" in found.said
    _is_exact(found)


@pytest.mark.slow
@pytest.mark.parametrize("case", [fidelity.hist_onnx, fidelity.lightgbm_float32])
def test_onnx_changes_labels_and_ours_does_not(case, tmp_path: Path) -> None:
    _need("onnx")
    found = case(tmp_path)
    assert found.flips > 0, found.said
    _is_exact(found)


@pytest.mark.slow
def test_raw_categories_mislead_lightgbm_and_not_us(tmp_path: Path) -> None:
    found = fidelity.lightgbm_raw_categories(tmp_path)
    assert found.flips > 100
    _is_exact(found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of matplotlib, which shap imports
def test_shap_is_wrong_about_categories_and_ours_is_not(tmp_path: Path) -> None:
    found = fidelity.hist_attribution(tmp_path)
    assert 9 < found.off < 11
    assert found.said == "its additivity check passes"
    assert found.ours_off < 1e-9


def _need(name: str) -> None:
    """Build the environment once, or skip with the reason where it cannot be built."""
    try:
        places.python_of(name)
    except places.CannotBuildError as error:
        pytest.skip(str(error))


def test_rows_are_seeded() -> None:
    assert np.array_equal(rows(10, 1), rows(10, 1))
    assert not np.array_equal(rows(10, 1), rows(10, 2))


def test_a_share_is_as_wanted_when_chance_explains_it() -> None:
    assert coverage.simulated("intervals", "", "", "", 940, 1_000).as_wanted
    assert coverage.simulated("intervals", "", "", "", 920, 1_000).as_wanted
    assert not coverage.simulated("intervals", "", "", "", 900, 1_000).as_wanted
    assert not coverage.enumerated("", "", "", 0.929).as_wanted
    assert coverage.covers(Estimate(1.0, 0.5, 1.5), 1.5)
    assert not coverage.covers(Estimate(1.0, 0.5, 1.5), 1.51)
    assert not coverage.covers(Estimate(1.0), 1.0)


def test_exact_intervals_cover_in_every_case_that_is_counted() -> None:
    """Clopper and Pearson prove it; Newcombe 1998 finds his method 10 a little above 95 % on average."""
    found = list(coverage.proportions())
    assert all(one.share >= 0.95 for one in found if one.what == "Clopper-Pearson")
    newcombe = [one.share for one in coverage.two_proportions() if one.what == "Newcombe"]
    assert 0.945 < np.mean(newcombe) < 0.96


def test_a_world_draws_the_rates_it_says() -> None:
    world = gap_simulations.UNFAIR["3 groups of 300 to 1,000"]
    cells = world.cells()
    assert cells.sum(axis=(1, 2, 3)) == pytest.approx(np.ones(3))
    assert (cells >= 0).all()
    table = world.truth().side("candidate")
    rates = dict(zip(fairness.RATES, fairness.rates(table).T))
    assert rates["tpr"] == pytest.approx(world.tpr[1])
    assert rates["fpr"] == pytest.approx(world.fpr[1])
    assert rates["base_rate"] == pytest.approx(world.base)
    drawn = world.draw(np.random.default_rng(0))
    assert drawn.n.tolist() == list(world.n)


def test_the_gap_test_keeps_its_level_and_finds_a_gap() -> None:
    found = {one.setting: one for one in gap_simulations.power(60)}
    assert all(one.as_wanted for one in found.values())
    assert found["2 groups of 1,000, gap 0.2"].share > 0.95
    assert found["2 groups of 200, gap 0.05"].share < 0.5


@pytest.mark.slow
def test_intervals_and_verdicts_hold_what_they_promise() -> None:
    """A small selection of what docs/simulations.md publishes."""
    found = [
        *coverage.changes(2_000),
        *gap_simulations.coverages(60),
        *gap_simulations.alarms(40),
        *simulations.speeds(20),
    ]
    off = [one for one in found if not one.as_wanted]
    assert not off, off
