"""The what-if editor and the case explorer on two real models in their own processes, whose answers are known."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.migration import open_migration
from workbench.ui.explore import live as lives
from workbench.ui.explore.cases import Cases
from workbench.ui.explore.editor import Editor
from workbench.ui.explore.live import Live, Reasons
from workbench.ui.explore.whatif import ELSEWHERE, WhatIf

MODELS = """
import time
import numpy as np

def _score(frame, weight):
    if (frame["income"] == 666).any():
        time.sleep(60)
    city = frame["city"].map({"bern": 0.5, "ulm": -0.5}).fillna(0.0).to_numpy(float)
    one = 1 / (1 + np.exp(-(weight * frame["income"].to_numpy(float) + city - 1.0)))
    return np.column_stack([1 - one, one])

def legacy(frame):
    return _score(frame, 0.5)

def candidate(frame):
    return _score(frame, 0.6)
"""
YAML = """version: 1
name: live
data: {holdout: rows.parquet}
legacy: {uri: "python:pair:legacy", options: {classes: [0, 1], inputs: [income, city]}}
candidate: {uri: "python:pair:candidate", options: {classes: [0, 1], inputs: [income, city]}}
task: {kind: binary, target: paid, positive: 1, threshold: 0.5}
roles: {protected: [sex], key: [id], personal: [name]}
"""
WEIGHTS = {"legacy": 0.5, "candidate": 0.6}
slow = pytest.mark.slow


def expected(side: str, income: float, city: float) -> float:
    return float(1 / (1 + np.exp(-(WEIGHTS[side] * income + city - 1.0))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("live"), np.random.default_rng(2)
    n = 300
    frame = pd.DataFrame({"id": np.arange(5_000, 5_000 + n), "name": [f"person {k}" for k in range(n)]})
    frame["sex"], frame["income"] = rng.choice(["f", "m"], n), np.round(rng.normal(2.0, 1.5, n), 3)
    frame["city"], frame["paid"] = rng.choice(["bern", "ulm", "rom"], n), rng.integers(0, 2, n)
    frame.to_parquet(folder / "rows.parquet")
    (folder / "pair.py").write_text(MODELS)
    (folder / "migration.yaml").write_text(YAML)
    return folder


@pytest.fixture(scope="module")
def live(folder: Path) -> Iterator[Live]:
    pair = Live(open_migration(folder))
    yield pair
    pair.close()


@pytest.fixture
def editor(live: Live) -> Editor:
    return Editor(WhatIf(live, interactive=True))


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL))


@slow
def test_it_starts_from_the_row_nearest_the_threshold(live: Live, editor: Editor) -> None:
    scored = live.scored
    assert scored.legacy.score is not None
    nearest = int(np.argmin(np.abs(scored.legacy.score - 0.5)))
    assert editor.asked.starts["near the threshold"][0] == nearest
    editor.kind.value = "near the threshold"
    assert editor.fields["income"].control.value == scored.frame["income"].iloc[nearest]
    assert list(editor.fields) == ["income", "city"], "what no model reads is not there to change"
    flips = editor.asked.starts["decided differently"]
    both = [np.asarray(side.score)[flips] >= 0.5 for side in (scored.legacy, scored.candidate) if side]
    assert (both[0] != both[1]).all()


@slow
def test_a_change_is_answered_by_both_models(live: Live, editor: Editor) -> None:
    editor.fields["city"].control.value = "bern"
    editor.fields["income"].control.value = 0.9
    found = live.ask(editor.row())
    for side, answer in found.items():
        assert not isinstance(answer, str)
        assert answer.score is not None
        assert answer.score[0] == pytest.approx(expected(side, 0.9, 0.5), abs=1e-12)
    shown = text(editor.shown.value)
    assert f"{expected('legacy', 0.9, 0.5):.3f}"[:5] in shown
    assert "legacy: paid = 0; candidate: paid = 1" in shown, "each side of the threshold is said"
    editor.fields["income"].control.value = 5.0
    assert "both: paid = 1" in text(editor.shown.value)
    editor.fields["city"].missing.value = True
    assert live.ask(editor.row())["legacy"].score[0] == pytest.approx(expected("legacy", 5.0, 0.0))  # type: ignore[union-attr, index]
    editor.back.click()
    pd.testing.assert_frame_equal(editor.row(), editor.base)


@slow
def test_the_reasons_are_those_of_the_log_odds(live: Live, editor: Editor) -> None:
    """Additive log-odds: a column's Shapley value is its part less the part's mean over the background."""
    editor.fields["income"].control.value = 4.0
    rows = pd.concat([editor.base, editor.row()], ignore_index=True)
    around = lives.sampled(live.scored.frame)
    for side, found in live.reasons(rows).items():
        assert isinstance(found, Reasons)
        at = found.features.index("income")
        assert found.values[1][at] == pytest.approx(WEIGHTS[side] * (4.0 - around["income"].mean()), abs=1e-6)
    assert "income" in text(editor.reasons.value)
    assert "log-odds" in text(editor.reasons.value)
    editor.ask_why.value = False
    assert editor.reasons.value == ""


@slow
def test_a_row_is_found_by_its_key_and_a_wrong_one_is_said(live: Live, editor: Editor) -> None:
    editor.key.value = "5007"
    assert editor.base["id"].tolist() == [5007]
    editor.key.value = "17"
    assert "no scored row has id" in editor.said.value
    assert "300 of the holdout&#39;s 300 rows" in editor.said.value


@slow
def test_a_host_that_stops_or_hangs_is_a_sentence_and_the_next_answer_comes(
    live: Live, editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = live.model("candidate")
    os.kill(model.pid, signal.SIGKILL)
    told = live.ask(editor.row())
    assert isinstance(told["candidate"], str)
    assert "was killed" in told["candidate"]
    assert not isinstance(told["legacy"], str)
    assert not isinstance(live.ask(editor.row())["candidate"], str), "it starts again by itself"
    monkeypatch.setattr(lives, "PATIENCE", 1.0)
    for side in live.sources:
        object.__setattr__(live.model(side).options, "timeout", 1.0)  # type: ignore[attr-defined]
    editor.fields["income"].control.value = 666.0
    assert "did not answer within 1 s" in text(editor.shown.value)
    editor.fields["income"].control.value = 1.0
    assert "did not answer" not in text(editor.shown.value)


@slow
def test_cases_show_rows_masked_with_the_reasons_of_both(live: Live, tmp_path: Path) -> None:
    codes = pd.DataFrame({"row": [3, 8, 11]})
    for side in ("legacy", "candidate"):
        codes[f"{side} answer"], codes[f"{side} reason 1"] = 0.1, ["income", "city", "income"]
        codes[f"{side} contribution 1"] = [0.5, -0.5, 0.25]
    codes.to_parquet(tmp_path / "reasons.parquet")
    cases = Cases(live, tmp_path / "reasons.parquet", interactive=True, only=True)
    assert sorted(cases.kinds["at random"]) == [3, 8, 11], "only what is explained"
    kind, wanted, number, rows, place, full = cases.widget().children
    kind.value = "at random"
    assert "leading reason, legacy" in rows.value
    place.value = 8
    assert "Row 8" in full.value
    assert "hidden" in full.value, "key and name are masked"
    assert "person 8" not in full.value
    assert "city" in text(full.value)
    wanted.value = "reason of nothing"
    assert place.options == ()
    wanted.value = "income"
    assert [value for _, value in place.options] == [3, 11]
    everything = Cases(live, None, interactive=True)
    chosen = everything.kinds["at random"]
    table, places, pages = everything.page("at random", 2)
    assert (len(chosen), len(places), pages) == (200, 10, 20)
    assert places == chosen[10:20]
    assert table.rows[0][0] == places[0]
    assert "no reasons are stored" in everything.html(places[0])
    assert "person" not in repr(cases) + cases._repr_html_(), "saved, a case is a place and never its content"
    assert number.description
    assert wanted.description


OTHERS = """
import numpy as np

def kinds(frame):
    logits = np.outer(frame["income"].to_numpy(float), [0.2, 0.5, -0.3])
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)

def value(frame):
    return 3.0 * frame["income"].to_numpy(float) + 1.0
"""


@slow
def test_several_classes_follow_one_and_a_value_has_no_threshold(folder: Path, tmp_path: Path) -> None:
    frame = pd.read_parquet(folder / "rows.parquet").assign(kind="b")
    frame.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "others.py").write_text(OTHERS)
    one = '{uri: "python:others:NAME", options: {MORE inputs: [income]}}'
    yaml = "version: 1\nname: x\ndata: {holdout: rows.parquet}\nlegacy: MODEL\ncandidate: MODEL\ntask: TASK\n"
    tasks = {
        "kinds": ("classes: [a, b, c],", "{kind: multiclass, target: kind}"),
        "value": ("", "{kind: regression, target: income}"),
    }
    shown = {}
    for name, (more, task) in tasks.items():
        model = one.replace("NAME", name).replace("MORE", more)
        (tmp_path / "migration.yaml").write_text(yaml.replace("MODEL", model).replace("TASK", task))
        pair = Live(open_migration(tmp_path))
        editor = Editor(WhatIf(pair, interactive=True))
        editor.fields["income"].control.value = 2.0
        shown[name] = text(editor.shown.value)
        pair.close()
    powers = np.exp(2.0 * np.array([0.2, 0.5, -0.3]))
    assert "legacy, P(" in shown["kinds"]
    assert f"{powers[1] / powers.sum():.3f}" in shown["kinds"]
    assert "7" in shown["value"].split("as edited")[1]
    assert "threshold" not in shown["value"]


def test_where_nobody_may_ask_it_says_so() -> None:
    assert repr(WhatIf(None, interactive=True)) == ELSEWHERE
    assert "judged blind" in repr(Cases(None, None, interactive=True))
    assert not WhatIf(None, interactive=True).interactive


def test_a_column_of_answers_cannot_be_asked_what_if(pair: Path) -> None:
    asked = WhatIf(Live(open_migration(pair)), interactive=True)
    assert "near the threshold" in repr(asked)
    editor = Editor(asked)
    assert "cannot be asked about a row that is not in the data" in editor.wrong["legacy"]
    assert "cannot be asked" in editor.said.value


def test_a_missing_model_is_a_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes((folder / "rows.parquet").read_bytes())
    yaml = YAML.replace('"python:pair:legacy", options: {classes: [0, 1], inputs: [income, city]}', "gone.joblib")
    (tmp_path / "migration.yaml").write_text(yaml)
    asked = WhatIf(Live(open_migration(tmp_path)), interactive=True)
    assert "gone.joblib" in repr(asked)
    assert not asked.interactive
    assert "gone.joblib" in asked._repr_html_()
