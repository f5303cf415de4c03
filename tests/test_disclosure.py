"""Small counts withheld: held against somebody who tries every table that agrees with what is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ledger_samples import migration_in

from workbench import catalog
from workbench.audit import tabled
from workbench.disclosure import protected
from workbench.evidence import Chart, Evidence, Finding, Limit, Measure, Series, Status, Table
from workbench.measure import fairness
from workbench.measure.fairness import Counts
from workbench.measure.fairness_paired import Plan, comparison, tables
from workbench.migration import open_migration
from workbench.runner.report import migration_page, notebook_page

K = 10
CELLS = ("tn", "fp", "fn", "tp")


def evidence(*findings: Finding) -> Evidence:
    return Evidence(
        audit="bias", migration="credit", started=datetime(2026, 1, 2, tzinfo=UTC), seconds=1.0, findings=findings
    )


def of_groups(counts: dict[str, tuple[int, int, int, int]]) -> Finding:
    """As the bias audit makes it, for one model, from its own tables of groups with these tn, fp, fn, tp."""
    table = np.zeros((len(counts), 3, 3, 3))
    for place, (tn, fp, fn, tp) in enumerate(counts.values()):
        table[place, 0, :2, fairness.UNKNOWN] = tn, fp
        table[place, 1, :2, fairness.UNKNOWN] = fn, tp
    whole = Counts(tuple(counts), table.astype(np.int64), table, table)
    made = tables(comparison(whole, False, Plan(least=10, draws=200)))
    details = tuple(tabled(title, frame) for title, frame in made.items())
    return Finding(id="bias/groups", subject="sex", title="Groups", status=Status.INFO, details=details)


def shown(finding: Finding) -> dict[str, dict[str, Any]]:
    """Everything that is told of each group, over all tables with one line a group."""
    lines: dict[str, dict[str, Any]] = {}
    for detail in finding.details:
        assert isinstance(detail, Table)
        if "truth" not in detail.columns:
            for row in detail.rows:
                lines.setdefault(str(row[0]), {}).update(zip(detail.columns, row, strict=True))
    return lines


def told(counts: dict[str, tuple[int, int, int, int]]) -> dict[str, dict[str, Any]]:
    return shown(protected(evidence(of_groups(counts)), K).findings[0])


LARGE = {"a": (100, 40, 50, 200), "b": (90, 30, 20, 90), "c": (300, 80, 90, 400)}


def test_nothing_is_touched_where_nothing_is_small() -> None:
    made = evidence(of_groups(LARGE))
    assert protected(made, K) is made
    small = evidence(of_groups(LARGE | {"d": (3, 2, 1, 1)}))
    assert protected(small, 1) is small, "1 shows every count"
    empty = evidence(of_groups({"a": (100, 0, 0, 200), "b": (90, 30, 20, 90)}))
    assert protected(empty, K) is empty, "an empty cell is shown"


def test_a_small_group_is_named_without_its_numbers_and_one_more_with_rounded_ones() -> None:
    lines = told(LARGE | {"d": (3, 2, 1, 1)})
    assert lines["d"]["rows"] == "< 10"
    kept = {"group", "rows", "compared"}
    assert {name for name, value in lines["d"].items() if value is not None} == kept
    assert lines["b"]["rows"] == "withheld", "the smallest of the others: else the total says how many are in d"
    assert lines["b"]["tpr"] == 0.82
    assert lines["a"]["rows"] == 390


def test_rates_that_rest_on_a_small_count_go_with_it() -> None:
    lines = told(LARGE | {"d": (50, 30, 4, 60)})
    hidden = {name for name, value in lines["d"].items() if value is None}
    assert {"tpr", "fnr", "fpr", "tnr", "ppv", "npv", "accuracy"} <= hidden
    assert lines["d"]["fn"] == lines["d"]["tp"] == "withheld"
    assert lines["d"]["rows"] == 144
    assert lines["d"]["selection_rate"] == pytest.approx(90 / 144)
    assert lines["b"]["tpr"] is None, "one more group: else the whole model's counts less the others' are d's"


def hostile(random: np.random.Generator) -> dict[str, tuple[int, int, int, int]]:
    groups = "abcd"[: random.integers(2, 5)]
    sizes = random.choice([0, 1, 3, 9, 10, 12, 15], size=(len(groups), 4))
    return {group: tuple(map(int, four)) for group, four in zip(groups, sizes, strict=True) if sum(four)}


@pytest.mark.parametrize("seed", range(40))
def test_no_withheld_count_can_be_worked_out_from_its_line(seed: int) -> None:
    """Every table of four cells that agrees with everything told of the group, by brute force."""
    counts = hostile(np.random.default_rng(seed))
    for group, line in told(counts).items():
        possible = _agreeing(line, sum(counts[group]))
        assert (possible == counts[group]).all(1).any()
        for name, true, cells in zip(CELLS, counts[group], possible.T, strict=True):
            if 0 < true < K:
                assert len(set(cells.tolist())) > 1, (counts, group, name, line)


def _agreeing(line: dict[str, Any], true: int) -> np.ndarray:
    """[m, 4] every four cells that fit; where the rows are withheld, of as many as there are, give or take a few."""
    exact = isinstance(line["rows"], int)
    found = []
    for n in [line["rows"]] if exact else range(max(1, true - 2), true + 3):
        tn, fp, fn = (part.ravel() for part in np.indices((n + 1, n + 1, n + 1)))
        tp = n - tn - fp - fn
        tn, fp, fn, tp = (part[tp >= 0] for part in (tn, fp, fn, tp))
        found.append(np.stack([tn, fp, fn, tp], 1)[_fits(line, tn, fp, fn, tp, 1e-9 if exact else 0.0051)])
    return np.concatenate(found)


def _fits(line: dict[str, Any], tn: Any, fp: Any, fn: Any, tp: Any, near: float) -> Any:
    n = tn + fp + fn + tp
    fits = np.ones(len(n), bool)
    for name, value in {"tn": tn, "fp": fp, "fn": fn, "tp": tp, "selected": tp + fp, "rows": n}.items():
        fits &= (value > 0) & (value < K) if line[name] == "< 10" else True
        fits &= value == line[name] if isinstance(line[name], int) else True
    rates = {
        "selection_rate": (tp + fp, n), "base_rate": (tp + fn, n), "accuracy": (tp + tn, n), "tpr": (tp, tp + fn),
        "fpr": (fp, fp + tn), "ppv": (tp, tp + fp), "npv": (tn, tn + fn),
    }  # fmt: skip
    for name, (hit, of) in rates.items():
        if line[name] is not None:
            fits &= (of > 0) & (np.abs(hit / np.maximum(of, 1) - line[name]) < near)
    return fits


@pytest.mark.parametrize("seed", range(40))
def test_no_withheld_count_is_what_the_others_leave_of_the_whole(seed: int) -> None:
    """The whole model's counts are told elsewhere: at least two groups' are withheld, or all there are."""
    counts = hostile(np.random.default_rng(1_000 + seed))
    lines = told(counts)
    for name in (*CELLS, "rows"):
        gone = [group for group, line in lines.items() if not isinstance(line[name], int)]
        alive = [group for group in lines if dict(zip(CELLS, counts[group], strict=True)).get(name, 1)]
        assert len(gone) != 1 or len(alive) == 1, (counts, name, lines)
    by_truth = protected(evidence(of_groups(counts)), K).findings[0].details[-1]
    assert isinstance(by_truth, Table)
    left = {str(row[0]) for row in by_truth.rows}
    assert not [row for row in by_truth.rows if 0 < int(row[-1] or 0) < K]
    assert len(counts.keys() - left) != 1 or len(counts) == 1


def test_what_else_tells_how_large_a_small_group_is() -> None:
    bars = Series(name="legacy", x=("a", "b", "d"), y=(0.5, 0.4, 0.3), low=(0.4, 0.3, 0.2), high=(0.6, 0.5, 0.4))
    chart = Chart(kind="interval", title="Selection rate by sex", x="sex", y="selection rate", series=(bars,))
    groups = of_groups(LARGE | {"d": (3, 2, 1, 1)})
    groups = groups.model_copy(update={"details": (*groups.details, chart)})
    few = Finding(id="bias/small-groups", subject="sex", title="Too small", status=Status.ABSENT,
                  reason="50 rows are needed to compare d (7 rows), e (1,200 rows)")  # fmt: skip
    gap = Finding(
        id="bias/accuracy-gap", subject="sex", title="Gap", status=Status.FAIL, judged="change",
        change=Measure(value=0.3, n=1497), limit=Limit(value=0.1, better="lower"),
    )  # fmt: skip
    least = Finding(
        id="readiness/groups", subject="sex", title="Smallest", status=Status.WARN, judged="legacy",
        legacy=Measure(value=7, n=1504, unit="rows"), limit=Limit(value=30, better="higher"),
    )  # fmt: skip
    made = protected(evidence(groups, few, gap, least), K)
    drawn = made.findings[0].details[-1]
    assert isinstance(drawn, Chart)
    assert (drawn.series[0].x, drawn.series[0].high) == (("a", "b"), (0.6, 0.5))
    assert made.findings[1].reason == "50 rows are needed to compare d (fewer than 10 rows), e (1,200 rows)"
    assert made.findings[2].change is not None
    assert made.findings[2].change.n == 1490, "the total less the rows compared is how many are in d"
    assert "7" not in str(made.findings[3].legacy).split("n=")[0]
    assert [one.status for one in made.findings] == [one.status for one in (groups, few, gap, least)]


def test_a_value_of_a_column_is_a_cell_and_what_programs_do_is_none() -> None:
    table = Table(
        title="Segments", columns=("column", "value", "rows", "flips", "rate"),
        rows=(("city", "Ulm", 4, 1, 0.25), ("city", "Bonn", 400, 1, 0.0025)),
    )  # fmt: skip
    finding = Finding(id="parity/flips-by-segment", title="Flips", status=Status.INFO, details=(table,))
    made = protected(evidence(finding), K).findings[0].details[0]
    assert isinstance(made, Table)
    assert made.rows == (("city", "Ulm", "< 10", None, None), ("city", "Bonn", 400, 1, 0.0025))
    assert made.title == "Segments (counts under 10 are withheld)"


def test_the_bias_audit_on_a_table_with_a_small_group(tmp_path: Path) -> None:
    """From rows to page: the page tells of the group and says nothing of how many it has; the evidence keeps it."""
    folder = migration_in(tmp_path)
    random = np.random.default_rng(4)
    n = 600
    frame = pd.DataFrame({"sex": random.choice(["f", "m", "n"], n), "default": random.integers(0, 2, n)})
    frame["decision"] = np.where(random.random(n) < 0.8, frame["default"], 1 - frame["default"])
    frame.loc[:6, "sex"] = "seven-of-them"
    frame.to_csv(folder / "loans.csv", index=False)
    migration = open_migration(folder)
    found = catalog.run(migration, "bias", {"draws": 200})
    few = next(one for one in found.findings if one.id == "bias/small-groups")
    assert few.reason.endswith(" (7 rows)"), "the words that `disclosure` looks for"
    page = notebook_page(migration, found, "run")
    assert "(fewer than 10 rows)" in page
    assert "(7 rows)" not in page
    assert "&lt; 10" in page
    whole = migration_page(migration, [found], "run")
    assert "(7 rows)" not in whole
    path = folder / "migration.yaml"
    path.write_text(path.read_text() + "privacy: {minimum_cell: 1}\n")
    assert "(7 rows)" in notebook_page(open_migration(folder), found, "run")
