"""What a person moves in a cell, in a real JupyterLab: the threshold, groups, a row that both models answer live."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.browser.lab import Lab
from tests.browser.test_lab import NOISE, RUN_ALL, Serve
from workbench.runner import copy_notebooks

pytestmark = [pytest.mark.browser, pytest.mark.long]

MODELS = """
import numpy as np

def _answer(frame, weight):
    housing = frame["housing"].map({"own": 0.6, "rent": -0.4}).fillna(0.0).to_numpy(float)
    one = 1 / (1 + np.exp(-(weight * frame["income"].to_numpy(float) + housing - 1.0)))
    return np.column_stack([1 - one, one])

def legacy(frame):
    return _answer(frame, 0.5)

def candidate(frame):
    return _answer(frame, 0.55)
"""
YAML = """version: 1
name: credit
data: {holdout: loans.parquet}
legacy: {uri: "python:pair:legacy", options: {classes: [0, 1], inputs: [income, housing]}}
candidate: {uri: "python:pair:candidate", options: {classes: [0, 1], inputs: [income, housing]}}
task: {kind: binary, target: repaid, positive: 1, threshold: 0.5}
roles: {protected: [sex], key: [loan]}
audits:
  bias: {draws: 200}
  parity: {draws: 100}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Lab:
    folder, rng = tmp_path_factory.mktemp("explore") / "credit", np.random.default_rng(4)
    folder.mkdir()
    n = 400
    frame = pd.DataFrame({"loan": np.arange(n) + 7_000, "sex": rng.choice(["f", "m"], n)})
    frame["income"] = np.round(rng.normal(2.0, 1.0, n), 2)
    frame["housing"] = rng.choice(["own", "rent", "family"], n)
    frame["repaid"] = (rng.random(n) < 1 / (1 + np.exp(1 - 0.5 * frame["income"]))).astype(int)
    frame.to_parquet(folder / "loans.parquet")
    (folder / "pair.py").write_text(MODELS)
    (folder / "migration.yaml").write_text(YAML)
    copy_notebooks(folder)
    return serve(folder)


def opened(page: Any, lab: Lab, book: str) -> None:
    page.goto(lab.address(f"/tree/notebooks/{book}.ipynb", "&reset"))
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.evaluate(RUN_ALL)
    assert page.locator(NOISE).all_inner_texts() == []


def box(page: Any, label: str) -> Any:
    """The cell of widgets that has a control with this label."""
    return page.locator(".jp-OutputArea-child").filter(has=page.get_by_label(label, exact=True)).last


def test_the_slider_and_the_groups_redraw(lab: Lab, page: Any) -> None:
    opened(page, lab, "51_bias")
    picker = box(page, "groups")
    picker.get_by_text("Selection rate by sex").wait_for()
    picker.get_by_label("rate", exact=True).select_option("true positive rate")
    picker.get_by_text("True positive rate by sex").wait_for()
    picker.get_by_label("the chosen groups as one").check()
    picker.get_by_text("(chosen together)").first.wait_for()
    slider = page.locator(".jp-OutputArea-child").filter(has=page.locator(".noUi-handle")).last
    slider.get_by_text("selected from a score of 0.5 on").wait_for()
    handle = slider.locator(".noUi-handle").first
    handle.focus()
    handle.press("ArrowRight")
    slider.get_by_text("selected from a score of 0.51 on").wait_for()


def test_a_changed_row_is_answered_by_both_models(lab: Lab, page: Any) -> None:
    opened(page, lab, "44_parity")
    editor = box(page, "income")
    answers = editor.locator(".f .line").first
    answers.get_by_text("As edited").wait_for()
    before = answers.inner_text()
    editor.get_by_label("loan", exact=True).fill("7003")
    editor.get_by_label("loan", exact=True).press("Enter")
    editor.get_by_label("income", exact=True).fill("9")
    editor.get_by_label("income", exact=True).press("Tab")
    answers.get_by_text("both: repaid = 1").wait_for()
    assert answers.inner_text() != before
    editor.get_by_label("housing", exact=True).fill("own")
    editor.get_by_label("housing", exact=True).press("Tab")
    own = [1 / (1 + np.exp(-(weight * 9 + 0.6 - 1.0))) for weight in (0.5, 0.55)]
    table = editor.locator("table").first
    for score in own:
        table.get_by_text(f"{score:.3f}"[:5]).first.wait_for()
    editor.get_by_text("Why: what each column adds to the answer").wait_for()
    editor.get_by_role("button", name="Undo all changes").click()
    editor.get_by_text("change by the edit").wait_for()
