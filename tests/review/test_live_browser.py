"""A page with controls in a real browser: the stored picture first, then a slider that moves it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ledger_samples import migration_in
from review_server import Serving

from workbench import catalog, store
from workbench.evidence import Chart, Evidence, Finding, Series, Status, Table
from workbench.migration import open_migration
from workbench.ui.review.people import People

pytestmark = [pytest.mark.browser, pytest.mark.long]

PATIENCE = 1000 * int(os.environ.get("WORKBENCH_PATIENCE", "180"))
"""Milliseconds: Voila, a kernel and Chromium start on a busy machine."""


def curve(model: str, gap: float) -> Table:
    rows = tuple((at / 10, 0.8, gap * at) for at in range(1, 10))
    return Table(title=f"By threshold, {model}", columns=("threshold", "accuracy", "demographic_parity_gap"), rows=rows)


def picture() -> Chart:
    x, y = tuple(at / 10 for at in range(1, 10)), tuple(0.01 * at for at in range(1, 10))
    return Chart(kind="line", title="Gap", x="threshold", y="gap", series=(Series(name="legacy", x=x, y=y),))


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = migration_in(tmp_path)
    migration = open_migration(folder)
    finding = Finding(
        id="bias/thresholds", subject="sex", title="Other thresholds", status=Status.INFO,
        details=(curve("legacy", 0.01), curve("candidate", 0.02), picture()),
    )  # fmt: skip
    evidence = Evidence(
        audit="bias", question="Is any group treated worse?", migration="credit", key=catalog.key(migration, "bias"),
        started=datetime(2026, 1, 2, tzinfo=UTC), seconds=1.0, findings=(finding,),
    )  # fmt: skip
    with store.open_run(folder) as run:
        store.write(run.workplace("51_bias") / store.EVIDENCE, evidence.to_json())
        run.publish("51_bias", audit="bias", key=evidence.key)
        run.finish()
    with Serving(folder) as serving:
        yield serving.start(), folder


def opened(browser: Any, base: str) -> tuple[Any, list[str]]:
    """A phone's page, and what it asked for elsewhere or had to complain about."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page, told = context.new_page(), list[str]()
    page.set_default_timeout(PATIENCE)
    page.set_default_navigation_timeout(PATIENCE)
    own = (base, "data:", "blob:")
    page.on("request", lambda one: told.append(one.url) if not one.url.startswith(own) else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("console", lambda one: told.append(one.text) if one.type == "error" else None)
    return page, told


def test_from_the_evidence_to_a_slider_that_moves_the_figures(browser: Any, address: tuple[str, Path]) -> None:
    base, folder = address
    page, told = opened(browser, base)
    page.goto(f"{base}/invite/{People(folder).invite('ada')}")
    page.click("text=Start the review")
    page.goto(f"{base}/notebook/bias")
    page.click("text=Explore")
    assert "Is any group treated worse?" in page.inner_text("body"), "drawn before any kernel is there"
    page.wait_for_url("**/explore/bias/live")
    page.wait_for_selector("#live[data-state=live]")
    page.wait_for_selector(".js-plotly-plot .main-svg")
    page.wait_for_selector("text=selected from a score of 0.5 on")
    figures = page.locator(".widget-html").last
    before = figures.inner_text()
    handle = page.locator(".noUi-handle").first
    handle.focus()
    for _ in range(3):
        handle.press("ArrowRight")
    page.wait_for_selector(".widget-html >> text=selected from a score of 0.8 on")
    assert figures.inner_text() != before
    body = page.inner_text("body")
    for hidden in ("Traceback", "from workbench", str(folder), "Javascript Error"):
        assert hidden not in body, hidden
    assert told == [], "nothing comes from elsewhere, and nothing went wrong unseen"
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    # Whatever ran in this page could not decide for its reader.
    assert page.evaluate("fetch('/decide').then(() => 'reached', () => 'refused')") == "refused"
    assert page.evaluate("window.open('/decide') === null")
    page.context.close()
