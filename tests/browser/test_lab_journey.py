"""From two files in the file browser to a verdict for the whole journey: every click and every key is counted.

The sample and real files (`cases`) go all the way, which takes minutes each.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.browser.lab import Lab
from tests.browser.panel import PANEL, opened
from workbench.demo import FILES, MODEL

pytestmark = [pytest.mark.browser, pytest.mark.long]

MOST_CLICKS = 6
PATIENCE = 1_800_000
COUNTED = """
window.clicks = 0; window.keys = [];
addEventListener('pointerdown', event => { window.clicks += event.isTrusted; }, true);
addEventListener('keydown', event => {
    if (event.isTrusted && event.key !== 'Control') window.keys.push(event.key);
}, true);
"""


def test_the_sample_comes_to_its_verdict(sample_folder: Path, migrations: Path, lab: Lab, page: Any) -> None:
    folder = migrations / "sample"
    folder.mkdir()
    for name in (FILES["holdout"], MODEL):
        shutil.copy(sample_folder / name, folder / Path(name).name)
    panel = begun(page, lab, folder, Path(FILES["holdout"]).name, Path(MODEL).name)
    found = written(folder)
    assert found["task"]["kind"] == "binary"
    told(page, panel)


def lightgbm(cases: Path, folder: Path) -> tuple[str, str]:
    return taken(cases / "legacy_models" / "lightgbm" / "2.3.0", folder, "input_Audit.csv", "ClassificationAudit.txt")


def xgboost(cases: Path, folder: Path) -> tuple[str, str]:
    files = cases / "legacy_models" / "xgboost" / "0.71"
    shutil.copy(files / "input_Audit.fmap", folder)
    return taken(files, folder, "input_Audit.csv", "LogisticRegressionAudit.model")


def german(cases: Path, folder: Path) -> tuple[str, str]:
    from tests.test_real import german as pipeline

    pipeline(cases, folder)
    return "holdout.csv", "model.joblib"


def taken(files: Path, folder: Path, data: str, model: str) -> tuple[str, str]:
    for name in (data, model):
        shutil.copy(files / name, folder)
    return data, model


@pytest.mark.parametrize(("make", "target"), [(lightgbm, "Adjusted"), (xgboost, "Adjusted"), (german, "class-label")])
def test_real_files(
    make: Callable[[Path, Path], tuple[str, str]], target: str, cases: Path, migrations: Path, lab: Lab, page: Any
) -> None:
    folder = migrations / make.__name__
    folder.mkdir()
    panel = begun(page, lab, folder, *make(cases, folder))
    assert (written(folder)["task"]["kind"], written(folder)["task"]["target"]) == ("binary", target)
    told(page, panel)


def begun(page: Any, lab: Lab, folder: Path, data: str, model: str) -> Any:
    """Two files, a menu, a button: the run is on its way."""
    page.add_init_script(COUNTED)
    panel = opened(page, lab)
    page.evaluate("() => window.jupyterapp.shell.activateById('filebrowser')")
    page.evaluate("path => window.jupyterapp.commands.execute('filebrowser:go-to-path', {path})", folder.name)
    page.locator(".jp-DirListing-item", has_text=model).wait_for()
    page.evaluate("() => { window.clicks = 0; window.keys = []; }")
    page.locator(".jp-DirListing-item", has_text=data).first.click()
    page.locator(".jp-DirListing-item", has_text=model).first.click(modifiers=["Control"])
    page.locator(".jp-DirListing-item", has_text=model).first.click(button="right")
    page.get_by_role("menuitem", name="Migrate This Model").click()
    page.locator(".mw-Wizard").get_by_role("button", name="Create and run").click(timeout=PATIENCE)
    panel.get_by_role("progressbar", name="Run").wait_for()
    return panel


def written(folder: Path) -> dict[str, Any]:
    [path] = folder.glob("*/migration.yaml")
    found: dict[str, Any] = YAML(typ="safe").load(path)
    return found


def told(page: Any, panel: Any) -> None:
    """The whole journey has its verdict, and nobody did anything more for it."""
    panel.get_by_role("progressbar", name="Run").wait_for(state="detached", timeout=PATIENCE)
    panel.locator(".mw-told", has_text="Not run yet.").first.wait_for(state="detached")
    headline = page.locator(f"{PANEL} .mw-headline").inner_text().splitlines()[-1]
    assert re.match("Ready|Not ready|Not assessed", headline), headline
    assert panel.get_by_role("button", name="Report").is_enabled()
    assert page.evaluate("() => window.keys") == []
    clicks = page.evaluate("() => window.clicks")
    assert 0 < clicks <= MOST_CLICKS, clicks
    print(f"{clicks} clicks: {headline}")
