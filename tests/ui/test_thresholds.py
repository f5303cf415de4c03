"""The threshold explorer: stored figures, the task's threshold where nobody can move it, any where somebody can."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench import catalog
from workbench.evidence import Evidence
from workbench.migration import open_migration
from workbench.ui.thresholds import Explorer

YAML = """version: 1
name: small
data: {holdout: rows.parquet}
legacy: {uri: "column:a"}
candidate: {uri: "column:b"}
task: {kind: binary, target: y, positive: 1, threshold: 0.43}
roles: {protected: [sex]}
"""


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder, rng = tmp_path_factory.mktemp("explorer"), np.random.default_rng(0)
    frame = pd.DataFrame({"sex": rng.choice(["f", "m"], 400), "a": rng.random(400)})
    frame["b"], frame["y"] = frame.a.clip(0.1, 0.9), (rng.random(400) < frame.a).astype(int)
    frame.to_parquet(folder / "rows.parquet")
    (folder / "migration.yaml").write_text(YAML)
    return catalog.run(open_migration(folder), "bias", {"draws": 200})


def test_without_widgets_it_shows_the_tasks_own_threshold(evidence: Evidence) -> None:
    shown = Explorer(evidence, 0.43, interactive=False)
    assert "sex: selected from a score of 0.43 on" in repr(shown)
    assert "accuracy" in shown._repr_html_()


def test_the_slider_shows_the_stored_figures_of_any_threshold(evidence: Evidence) -> None:
    explorer = Explorer(evidence, 0.43, interactive=True)
    attribute, slider, shown = explorer.widget().children
    assert (attribute.value, slider.value, len(slider.options)) == ("sex", 0.43, 101)
    before = shown.value
    slider.value = 0.05
    assert shown.value != before
    assert "0.05" in shown.value
    [rate] = [row for row in explorer.at("sex", 0.05).table.rows if row[0] == "selection rate"]
    assert rate[2] == 1.0


def test_decisions_without_scores_have_no_threshold_to_move(evidence: Evidence) -> None:
    bare = evidence.model_copy(update={"findings": ()})
    assert "no scores" in repr(Explorer(bare, 0.5, interactive=True))
