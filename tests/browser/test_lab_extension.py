"""The Migration panel in a real JupyterLab in a real Chromium, with the real server, below a base URL and offline."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from tests.browser.lab import Lab
from workbench.runner import copy_notebooks

pytestmark = pytest.mark.browser

Serve = Callable[..., Lab]
PANEL = "#migration-workbench-panel"
HOSTILE = "<img src=x onerror=window.hacked=1>"
BUILT = Path(__file__).parents[2] / "workbench" / "labextension" / "static" / "style.js"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migration that is judged in seconds, one with a name that would run as markup, and two files for a third."""
    root = tmp_path_factory.mktemp("root")
    declared(root / "credit", "credit", "loans.csv")
    declared(root / f"b{HOSTILE}", HOSTILE, "loans.csv")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"income": rng.normal(40, 9, 600), "debts": rng.normal(9, 3, 600), "sex": rng.choice(["f", "m"], 600)}
    )
    rows["repaid"] = (rows.income - 2 * rows.debts + rng.normal(0, 8, 600) > 20).astype(int)
    (root / "raw").mkdir()
    rows.to_csv(root / "raw" / "loans.csv", index=False)
    joblib.dump(LogisticRegression().fit(rows[["income", "debts"]], rows.repaid), root / "raw" / "legacy.joblib")
    return root


def declared(folder: Path, name: str, data: str) -> None:
    folder.mkdir()
    rows = "\n".join(f"{'fm'[n % 2]},{n % 3 % 2},{int(n % 5 > n % 2)}" for n in range(600))
    (folder / data).write_text(f"sex,repaid,decision\n{rows}\n")
    (folder / "migration.yaml").write_text(
        f"version: 1\nname: '{name}'\ndata: {{holdout: {data}}}\nlegacy: {{uri: 'column:decision'}}\n"
        "candidate: {uri: 'column:decision'}\ntask: {kind: binary, target: repaid, positive: 1}\n"
        f"roles: {{protected: [sex]}}\naudits:\n  bias: {{draws: 200}}\n"
        f"limits:\n  bias/selection-rate-gap: {{value: 0.05, better: lower, set_by: '{name}'}}\n"
    )
    copy_notebooks(folder)


@pytest.fixture(scope="module")
def lab(root: Path, serve: Serve) -> Lab:
    if not BUILT.exists():
        pytest.skip("the extension is not built here: make extension")
    return serve(root, "/user/ada/")


def opened(page: Any, lab: Lab, more: str = "&reset") -> Any:
    """The panel of a Lab that was just opened."""
    page.goto(lab.address(more=more))
    tab = page.locator(f'li[data-id="{PANEL[1:]}"]')
    tab.wait_for()
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    panel = page.locator(PANEL)
    if not panel.is_visible():
        tab.click()
    panel.locator(".mw-nb").first.wait_for()
    return panel


def titled(notebook: str) -> str:
    """`21_readiness` as the panel says it."""
    return notebook[3:].replace("_", " ").capitalize()


def accessible(page: Any, *where: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context={"include": [[one] for one in where]}).response["violations"]
    assert [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found] == []


def themed(page: Any, theme: str) -> None:
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached")
    # The theme's colours come with its style sheet, a moment after its name.
    page.wait_for_timeout(700)


def test_a_run_with_progress_a_reload_in_the_middle_and_its_evidence(lab: Lab, page: Any) -> None:
    panel = opened(page, lab)
    panel.locator("select").select_option(label="credit · not assessed")
    row = panel.locator('.mw-nb[data-notebook="51_bias"]')
    row.get_by_text("Not run yet.").wait_for()
    accessible(page, PANEL)
    row.hover()
    row.get_by_role("button", name="Run Bias").click()
    row.locator(".mw-bar").wait_for()
    page.wait_for_timeout(300)
    panel = opened(page, lab, "")
    assert str(panel.locator("select option:checked").inner_text()).startswith("credit")
    row = panel.locator('.mw-nb[data-notebook="51_bias"]')
    panel.get_by_role("progressbar", name="Run").wait_for()
    row.locator(".mw-told", has_text="Ready: 1 check passed").wait_for()

    row.locator(".mw-row").click()
    evidence = page.locator(".mw-Evidence")
    evidence.get_by_role("heading", name="Ready: 1 check passed").wait_for()
    finding = evidence.locator("details.mw-finding", has_text="Selection rate").first
    finding.locator("summary").click()
    finding.locator(".mw-body").wait_for()
    drawn = page.locator(".mw-Evidence .js-plotly-plot .main-svg").first
    evidence.evaluate(
        "page => page.querySelectorAll('.mw-finding:not([open]) > summary').forEach(line => line.click())"
    )
    drawn.wait_for()
    accessible(page, PANEL, ".mw-Evidence")
    themed(page, "JupyterLab Dark")
    accessible(page, PANEL, ".mw-Evidence")
    evidence.get_by_role("searchbox").fill("nothing is called this")
    evidence.get_by_text("No finding matches.").wait_for()

    panel.get_by_role("button", name="Report").click()
    report = page.frame_locator("iframe[title=Report]")
    report.get_by_role("heading", name=re.compile("Ready so far")).first.wait_for()
    panel.get_by_role("button", name="History").click()
    page.locator(".mw-History tbody tr").first.wait_for()
    assert page.locator("#jp-main-statusbar").get_by_text("credit: ").is_visible()


def test_from_two_files_to_a_run_in_five_clicks_then_stop(lab: Lab, root: Path, page: Any) -> None:
    opened(page, lab)
    page.locator('li[data-id="filebrowser"]').click()
    page.evaluate("() => window.jupyterapp.commands.execute('filebrowser:go-to-path', {path: 'raw'})")
    data, model = (page.locator(".jp-DirListing-item", has_text=name) for name in ("loans.csv", "legacy.joblib"))
    data.click()
    model.click(modifiers=["Control"])
    model.click(button="right")
    page.get_by_role("menuitem", name="Migrate This Model").click()
    wizard = page.locator(".mw-Wizard")
    wizard.locator(".mw-reasons").wait_for()
    assert wizard.get_by_label("Column that holds the truth").input_value() == "repaid"
    assert wizard.locator(".mw-columns summary").inner_text() == "sex"
    accessible(page, ".mw-Wizard")
    wizard.get_by_role("button", name="Create and run").click()
    panel = page.locator(PANEL)
    panel.get_by_role("progressbar", name="Run").wait_for()
    panel.locator(".mw-nb .mw-bar").first.wait_for()
    page.locator(".jp-FileEditor").get_by_text("version").first.wait_for()
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_text("Stopped: what was finished is kept.").wait_for()
    assert len(list(root.glob("raw/*/migration.yaml"))) == 1
    assert list(root.glob("raw/*/notebooks/51_bias.ipynb"))


def test_by_keyboard_alone_and_what_people_named_is_only_text(lab: Lab, page: Any) -> None:
    opened(page, lab)
    page.keyboard.press("Control+Shift+M")
    page.wait_for_function(f"() => document.activeElement.closest('{PANEL}')")
    focused = "() => document.activeElement.closest('[data-notebook]')?.dataset.notebook ?? ''"
    panel = page.locator(PANEL)
    panel.locator("select").select_option(label=f"{HOSTILE} · not assessed")
    panel.locator("select").focus()
    page.wait_for_function("() => [...document.querySelectorAll('.mw-told')].every(one => one.textContent)")
    first, second, *_, last = panel.locator(".mw-nb").evaluate_all("rows => rows.map(row => row.dataset.notebook)")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == first:
            break
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == second
    page.keyboard.press("End")
    assert page.evaluate(focused) == last
    page.keyboard.press("Home")
    assert page.evaluate(focused) == first
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert (
        page.evaluate("() => document.activeElement.getAttribute('aria-label')")
        == f"Open the notebook of {titled(first)}"
    )
    page.keyboard.press("Enter")
    page.locator(".jp-NotebookPanel-toolbar").get_by_text("Run headless").wait_for()
    assert page.locator("#jp-main-statusbar").get_by_text(f"{HOSTILE}: ").is_visible()
    assert page.evaluate("() => window.hacked") is None
