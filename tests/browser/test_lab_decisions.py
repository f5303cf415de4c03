"""What a person does with evidence in Lab: reads it, links to it, accepts it for a time, compares it, previews it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import Lab
from tests.browser.panel import PANEL, accessible, declared, opened, row, taken, themed
from tests.ui.server.conftest import evidence, keep, migration_in
from workbench.evidence import Status

pytestmark = pytest.mark.browser

REASON = "The old model had the same gap; the works council agreed on 12 May."


@pytest.fixture(scope="module")
def judged(migrations: Path) -> Path:
    """Two runs of one audit: what passed in the first fails in the second."""
    folder = migration_in(migrations / "judged", "judged")
    keep(folder, evidence(folder, Status.PASS, 0.02))
    keep(folder, evidence(folder))
    return folder


def test_from_a_finding_to_a_decision_in_the_ledger(judged: Path, lab: Lab, page: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    panel = opened(page, lab)
    taken(panel, "judged")
    assert [url for url in asked if "plotly" in url] == [], "it is loaded only when a chart is shown"
    row(panel, "51_bias").locator(".mw-row").click()
    finding = page.locator(".mw-Evidence .mw-finding", has_text="Women are selected less often")
    finding.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert [url for url in asked if "/jupyterlab-plotly/static/" in url], "plotly's own renderer drew it"

    finding.get_by_role("button", name="Explain").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("bias/selection-rate-gap").wait_for()
    dialog.get_by_role("button", name="Close").click()

    finding.get_by_role("button", name="Copy link").click()
    link = str(page.evaluate("() => navigator.clipboard.readText()"))
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/user/ada/workbench/api/migrations/\w{16}/report\?.+#.+", link)
    assert "a page" in page.request.get(link).text()

    finding.get_by_role("button", name="Accept for a time").click()
    dialog.get_by_label("Why is this acceptable?").fill("no")
    dialog.get_by_role("button", name="Accept in my name").click()
    page.get_by_text("Give a reason of at least 10 characters").wait_for()
    dialog.get_by_role("button", name="Close").click()
    reason = dialog.get_by_label("Why is this acceptable?")
    assert reason.input_value() == "no", "what was written is not lost"
    reason.fill(REASON)
    until = dialog.get_by_label("Until").input_value()
    accessible(page, ".jp-Dialog-content")
    dialog.get_by_role("button", name="Accept in my name").click()
    page.locator(".mw-waived", has_text=f"accepted until {until}").wait_for()
    entries = page.request.get(re.sub("/report.*", "/ledger", link)).json()["entries"]
    [waiver] = [entry["body"] for entry in entries if "until" in entry["body"]]
    assert (waiver["finding"], waiver["reason"], waiver["until"]) == ("bias/selection-rate-gap[sex]", REASON, until)
    assert page.locator(".mw-Evidence .mw-finding").count() == 1


def test_two_runs_are_compared_and_a_reviewers_pages_are_previewed(judged: Path, lab: Lab, page: Any) -> None:
    panel = opened(page, lab)
    taken(panel, "judged")
    panel.get_by_role("button", name="History").click()
    history = page.locator(".mw-History")
    history.get_by_role("button", name="Compare").click()
    moved = history.locator("section tbody tr", has_text="Women are selected less often")
    moved.get_by_text("worse").wait_for()
    assert history.get_by_text("1 changed, 0 equal").is_visible()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        themed(page, theme)
        accessible(page, PANEL, ".mw-History")

    panel.get_by_role("button", name="Preview").click()
    frame = page.frame_locator("iframe[title=Preview]")
    frame.get_by_text("Preview: this is what a reviewer sees.").wait_for()
    frame.get_by_role("link", name="bias").click()
    frame.get_by_text("Women are selected less often").first.wait_for()
    frame.get_by_role("link", name="Cases").click()
    frame.get_by_text("one by one and blind").wait_for()
    frame.get_by_role("link", name="Evidence").click()
    frame.get_by_role("link", name="bias").wait_for()
    assert page.locator("iframe[title=Preview]").get_attribute("sandbox") == "allow-scripts allow-downloads"
    page.wait_for_timeout(1500)  # Lab keeps its layout a second after it changed

    opened(page, lab, "")
    page.get_by_role("tab", name="Preview").wait_for()
    page.get_by_role("tab", name="Runs").click()
    history.locator("tbody tr").first.wait_for()


@pytest.mark.long
def test_the_buttons_of_a_guided_notebook(migrations: Path, lab: Lab, page: Any) -> None:
    declared(migrations / "by-hand", "by-hand")
    panel = opened(page, lab)
    taken(panel, "by-hand")
    bias = row(panel, "51_bias")
    bias.hover()
    bias.get_by_role("button", name="Open the notebook of Bias").click()
    bar = page.locator(".jp-NotebookPanel-toolbar")
    bar.get_by_text("Save evidence").wait_for()
    assert not bar.get_by_text("Preview").is_visible(), "there is nothing to preview yet"
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    )
    bar.get_by_text("Save evidence").click()
    bias.locator(".mw-told", has_text="Ready: 1 check passed").wait_for()
    bar.get_by_text("Run headless").click()
    panel.get_by_role("progressbar", name="Run").wait_for()
    page.get_by_text(re.compile("by-hand: 1 notebook ran in")).wait_for()
    panel.get_by_role("progressbar", name="Run").wait_for(state="detached")
    bar.get_by_text("Preview").click()
    page.frame_locator("iframe[title='Preview · Bias']").get_by_text("Preview: this is").wait_for()
    assert list((migrations / "by-hand").glob("reports/*/51_bias/report.html"))


def test_evidence_by_keyboard_alone(judged: Path, lab: Lab, page: Any) -> None:
    panel = opened(page, lab)
    taken(panel, "judged")
    page.keyboard.press("Control+Shift+M")
    page.wait_for_function(f"() => document.activeElement.closest('{PANEL}')")
    row(panel, "51_bias").locator(".mw-row").focus()
    page.keyboard.press("Enter")
    page.locator(".mw-Evidence .mw-finding").first.wait_for()
    page.wait_for_function("() => document.activeElement.closest('.mw-Evidence')")
    tabbed(page, "input[type=search]")
    page.keyboard.type("nothing is called this")
    page.get_by_text("No finding matches.").wait_for()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    tabbed(page, ".mw-finding summary")
    if page.locator(".mw-finding").first.get_attribute("open") is not None:  # what blocks is open already
        page.keyboard.press("Enter")
        page.wait_for_selector(".mw-finding:not([open])")
    page.keyboard.press("Enter")
    page.wait_for_selector(".mw-finding[open]")
    tabbed(page, ".mw-finding .mw-button")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_text("bias/selection-rate-gap").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")


def tabbed(page: Any, where: str) -> None:
    """Tab until the focus is there, as somebody without a mouse does."""
    for _ in range(25):
        page.keyboard.press("Tab")
        if page.evaluate("where => document.activeElement.matches(where)", where):
            return
    raise AssertionError(f"{where} is not reached by Tab")
