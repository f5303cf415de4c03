"""The calculator on timed answers whose machines and cost are known by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.evidence import Evidence
from workbench.ui.explore.machines import Machines, rows_of

SIDES = {"legacy": 20.0, "legacy again": 20.0, "candidate": 5.0, "candidate again": 5.0}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Constant times: 20 ms and 5 ms for a row; for 1,024 rows twice that."""
    lines = [
        {"scenario": scenario, "round": number, "side": side, "wall_ns": int(1e6 * ms * factor), "cpu_ns": 0}
        for scenario, factor in (("1,024 rows", 2), ("1 row", 1))
        for number in range(12)
        for side, ms in SIDES.items()
        for _ in range(10)
    ]
    path = tmp_path_factory.mktemp("timed") / "samples.parquet"
    pd.DataFrame(lines).astype({"scenario": "category", "side": "category"}).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    params = {"price_per_hour": 0.4, "currency": "EUR", "service_level_ms": 2_000.0}
    return Evidence(
        audit="benchmark",
        migration="m",
        started=datetime(2026, 1, 2, tzinfo=UTC),
        seconds=1,
        findings=(),
        params=params,
    )


@pytest.fixture(scope="module")
def machines(evidence: Evidence, samples: Path) -> Machines:
    return Machines(evidence, samples, interactive=True, per_second=240.0)


def test_the_figures_are_those_of_a_hand_calculation(machines: Machines) -> None:
    assert machines.scenarios == ("1 row", "1,024 rows")
    wish = machines.first("1 row")
    assert (wish.per_second, wish.level, wish.price, wish.rows) == (240.0, 2.0, 0.4, 1)
    found = {finding.title: finding for finding in machines.findings("1 row", wish)}
    count = found["Machines"]
    # 240 a second at 50 and 200 a second and process: five and two, where a little queueing still fits.
    assert (count.legacy.value, count.candidate.value) == (5, 2)  # type: ignore[union-attr]
    assert count.change.value == pytest.approx(0.4)  # type: ignore[union-attr]
    assert found["Cost of a month"].legacy.value == pytest.approx(5 * 0.4 * 730)  # type: ignore[union-attr]
    assert found["Cost of a million predictions"].candidate.value == pytest.approx(2 * 0.4 / (240 * 3.6e3) * 1e6)  # type: ignore[union-attr]
    assert found["Half of the answers within"].candidate.value >= 5.0  # type: ignore[union-attr]
    assert found["99 of 100 answers within"].legacy.value <= 2_000  # type: ignore[union-attr]


def test_moving_a_field_reckons_again(machines: Machines) -> None:
    grid, shown = machines.widget().children
    scenario, *fields = grid.children
    named = {field.description: field for field in fields}
    assert "240 requests a second" in shown.value
    named["requests a second"].value = 480
    assert "480 requests a second" in shown.value
    named["99 of 100 within, ms"].value = 10
    assert "The legacy model answers fewer" in shown.value
    named["price of an hour, 0: none"].value = 0
    assert "Give the price" in shown.value
    named["requests a second"].value = 0
    assert "give a number above 0" in shown.value
    scenario.value = "1,024 rows"
    assert "of 1,024 rows" in shown.value
    assert all(field.description for field in grid.children)


def test_saved_it_is_a_table_and_without_samples_a_sentence(
    machines: Machines, evidence: Evidence, tmp_path: Path
) -> None:
    assert "Machines, machines" not in repr(machines)
    assert "Cost of a million" in repr(machines)
    assert "<table>" in machines._repr_html_()
    for place in (None, tmp_path / "nothing.parquet"):
        none = Machines(evidence, place, interactive=True)
        assert "no timed answers" in repr(none)
        assert "no timed answers" in none.widget().value


def test_without_a_wish_it_starts_with_round_numbers(evidence: Evidence, samples: Path) -> None:
    plain = Machines(evidence.model_copy(update={"params": {}}), samples, interactive=False).first("1 row")
    assert (plain.per_second, plain.level) == pytest.approx((200.0, 0.2))
    assert np.isnan(plain.price)
    assert [rows_of(name) for name in ("1 row", "1,024 rows", "8 rows, whole")] == [1, 1024, 8]
