"""The parts of `python -m benchmarks lab` that need no browser."""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pytest
from scipy.stats import binom

from benchmarks import lab
from workbench import store


@pytest.mark.parametrize(("n", "low", "high"), [(3, 1, 3), (6, 1, 6), (9, 2, 8), (20, 6, 15)])
def test_a_median_lies_between_the_order_statistics_of_the_published_table(n: int, low: int, high: int) -> None:
    """Ranks as in Conover 1999, table A3, by the binomial distribution."""
    found = lab.middle(list(np.arange(n, 0, -1.0)))
    assert (found.low, found.high) == (low, high)
    assert binom.cdf(high - 1, n, 0.5) - binom.cdf(low - 1, n, 0.5) >= 0.95 or (low, high) == (1, n)


def test_what_it_is_measured_on_is_a_migration_with_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "RUNS", 1)
    monkeypatch.setattr(lab, "MIGRATIONS", 3)
    lab.filled(tmp_path / "root")
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == ["live", "m00", "m01"]
    [run] = store.runs(tmp_path / "root" / "m01")
    assert run.state == "done"
    stored = store.latest(tmp_path / "root" / "m01", "bias")
    assert stored is not None
    assert len(stored.evidence.findings) == lab.FINDINGS


def test_an_event_is_late_by_the_time_since_its_cells_end(tmp_path: Path) -> None:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in ("1", "seed = 2", "3")])
    book.cells[1].metadata["tags"] = ["injected-parameters"]
    for second, cell in enumerate(book.cells):
        cell.metadata["papermill"] = {"end_time": f"2026-01-01T00:00:0{second}"}
    nbformat.write(book, tmp_path / "notebook.ipynb")
    ended = 1767225601_000
    late = lab.delays(tmp_path / "notebook.ipynb", {("51_bias", 1): ended - 900.0, ("51_bias", 2): ended + 120.0})
    assert list(late) == [pytest.approx(120.0)]
