"""Which of the interactive parts live where: everything in JupyterLab, what only reads the store in a dashboard."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from workbench import store
from workbench.evidence import Evidence
from workbench.runner.kernel import DASHBOARD, PLACE
from workbench.ui.explore import live as lives
from workbench.ui.explore.machines import SAMPLES
from workbench.ui.guide import guide


@pytest.fixture
def kept(pair: Path, bias: Evidence) -> Evidence:
    """Evidence of the benchmark with its timed answers beside it, as a run stores them."""
    evidence = bias.model_copy(update={"audit": "benchmark", "params": {}, "findings": ()})
    frame = pd.DataFrame({"scenario": "1 row", "round": [0, 1] * 4, "side": ["legacy", "candidate"] * 4})
    with store.open_run(pair) as run:
        place = run.workplace("61_benchmark")
        frame.assign(wall_ns=10_000_000, cpu_ns=0).to_parquet(place / SAMPLES)
        store.write(place / store.EVIDENCE, evidence.to_json())
        run.publish("61_benchmark", audit="benchmark", key=evidence.key)
        run.finish()
    return evidence


def test_in_jupyterlab_everything_moves(pair: Path, bias: Evidence, kept: Evidence) -> None:
    audit = guide("bias", pair)
    assert audit.groups(bias).interactive
    assert audit.thresholds(bias).interactive
    assert audit.what_if().interactive
    assert audit.cases(bias).interactive
    timed = guide("benchmark", pair).calculator(kept, per_second=7)
    assert timed.interactive
    assert "7 requests a second" in repr(timed)


def test_in_a_dashboard_nothing_is_asked_and_no_single_case_is_shown(
    pair: Path, bias: Evidence, kept: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DASHBOARD, str(pair))
    monkeypatch.setattr(lives, "Live", None)
    audit = guide("bias", "anywhere")
    assert audit.groups(bias).interactive
    assert audit.thresholds(bias).interactive
    assert guide("benchmark").calculator(kept).scenarios == ("1 row",)
    assert not audit.what_if().interactive
    assert not audit.cases(bias).interactive
    assert "judged blind" in repr(audit.cases(bias))


def test_headless_all_of_it_is_static(
    pair: Path, bias: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path))
    audit = guide("bias", pair)
    for shown in (audit.groups(bias), audit.thresholds(bias), audit.what_if(), audit.cases(bias)):
        assert not shown.interactive
        assert "<table>" in shown._repr_html_()
    assert "no timed answers" in repr(guide("benchmark", pair).calculator(bias))


def test_one_pair_is_open_at_a_time(pair: Path) -> None:
    migration = guide("bias", pair).migration
    first = lives.pair_of(migration)
    assert lives.pair_of(migration) is first
    path = pair / "migration.yaml"
    text = path.read_text()
    path.write_text(text.replace("threshold: 0.5", "threshold: 0.6"))
    try:
        other = lives.pair_of(guide("bias", pair).migration)
        assert other is not first
        assert list(lives._PAIRS.values()) == [other]
    finally:
        path.write_text(text)
