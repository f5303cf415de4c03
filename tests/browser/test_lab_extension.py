"""The Migration panel in a real JupyterLab in a real Chromium, with the real server, below a base URL and offline."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import Lab
from tests.browser.panel import HOSTILE, PANEL, accessible, opened, row, taken, themed, titled

pytestmark = pytest.mark.browser


def test_a_run_with_progress_a_reload_in_the_middle_and_its_evidence(lab: Lab, page: Any) -> None:
    panel = opened(page, lab)
    taken(panel, "credit")
    bias = row(panel, "51_bias")
    bias.get_by_text("Not run yet.").wait_for()
    accessible(page, PANEL)
    bias.hover()
    bias.get_by_role("button", name="Run Bias").click()
    bias.locator(".mw-bar").wait_for()
    page.wait_for_timeout(300)
    panel = opened(page, lab, "")
    assert str(panel.locator("select option:checked").inner_text()).startswith("credit")
    bias = row(panel, "51_bias")
    panel.get_by_role("progressbar", name="Run").wait_for()
    bias.locator(".mw-told", has_text="Ready: 1 check passed").wait_for()

    bias.locator(".mw-row").click()
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


def test_from_two_files_to_a_run_in_five_clicks_then_stop(lab: Lab, migrations: Path, page: Any) -> None:
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
    assert len(list(migrations.glob("raw/*/migration.yaml"))) == 1
    assert list(migrations.glob("raw/*/notebooks/51_bias.ipynb"))


@pytest.mark.long
def test_by_keyboard_alone_and_what_people_named_is_only_text(lab: Lab, page: Any) -> None:
    opened(page, lab)
    page.keyboard.press("Control+Shift+M")
    page.wait_for_function(f"() => document.activeElement.closest('{PANEL}')")
    focused = "() => document.activeElement.closest('[data-notebook]')?.dataset.notebook ?? ''"
    panel = page.locator(PANEL)
    taken(panel, HOSTILE)
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
