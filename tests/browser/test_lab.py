"""A guided notebook by hand, in a real JupyterLab in a real Chromium, with nothing reachable but that Lab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from ruamel.yaml import YAML

from tests.browser.lab import Lab
from workbench.runner import copy_notebooks

pytestmark = pytest.mark.browser

Serve = Callable[..., Lab]

NOISE = "[data-mime-type='application/vnd.jupyter.stderr'], [data-mime-type='application/vnd.jupyter.error']"
RUN_ALL = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await window.jupyterapp.commands.execute('notebook:run-all-cells');
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decision that is a column, judged for two groups: the smallest migration that has a verdict and a chart."""
    folder = tmp_path_factory.mktemp("lab") / "credit"
    folder.mkdir()
    rows = "\n".join(f"{'fm'[n % 2]},{n % 3 % 2},{int(n % 5 > n % 2)}" for n in range(600))
    (folder / "loans.csv").write_text(f"sex,repaid,decision\n{rows}\n")
    (folder / "migration.yaml").write_text(
        'version: 1\nname: credit\ndata: {holdout: loans.csv}\nlegacy: {uri: "column:decision"}\n'
        'candidate: {uri: "column:decision"}\ntask: {kind: binary, target: repaid, positive: 1}\n'
        "roles: {protected: [sex]}\naudits:\n  bias: {draws: 200}\n"
        'limits:\n  bias/selection-rate-gap: {value: 0.05, better: lower, set_by: "Risk policy 4.2"}\n'
    )
    copy_notebooks(folder)
    return folder


@pytest.fixture(scope="module")
def lab(folder: Path, serve: Serve) -> Lab:
    return serve(folder)


def run_all(page: Any, address: str, cells: int) -> None:
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.evaluate(RUN_ALL)
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    assert prompts.all_inner_texts() == [f"[{n + 1}]:" for n in range(cells)]


def test_a_guided_notebook_by_hand_light_and_dark_offline(folder: Path, lab: Lab, page: Any) -> None:
    path = folder / "notebooks" / "51_bias.ipynb"
    cells = sum(cell.cell_type == "code" for cell in nbformat.read(path, as_version=4).cells)
    run_all(page, lab.address("/tree/notebooks/51_bias.ipynb", "&reset"), cells)
    assert page.locator(NOISE).all_inner_texts() == []
    verdict = page.get_by_text("Ready: 1 check passed.").first
    verdict.wait_for()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()

    ink = "verdict => getComputedStyle(verdict).color"
    light = verdict.evaluate(ink)
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    # The theme's colours come with its style sheet, a moment after the theme is called dark.
    page.wait_for_function(f"([verdict, before]) => ({ink})(verdict) !== before", arg=[verdict.element_handle(), light])
    page.wait_for_timeout(500)
    dark = verdict.evaluate(ink)
    assert bright(dark) > 150 > 100 > bright(light)

    field = page.locator(".jupyter-widgets input[type=number]").first
    field.fill("40")
    field.press("Tab")
    page.get_by_text("is now 40 in migration.yaml").wait_for()
    assert YAML().load(folder / "migration.yaml")["audits"]["bias"]["min_group"] == 40
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(500)
    saved = nbformat.read(path, as_version=4)
    bundles = [output.data for cell in saved.cells for output in cell.get("outputs", ()) if "data" in output]
    assert any("min_group" in str(data.get("text/markdown", "")) for data in bundles), "the form is readable when saved"


def bright(colour: str) -> float:
    """Mean of red, green and blue of `rgb(…)`."""
    return sum(map(float, colour.removeprefix("rgb(").rstrip(")").split(",")[:3])) / 3
