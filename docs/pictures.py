"""Remakes the README's pictures from the demo: `make pictures`. Needs Chromium and a finished `make demo`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.lab import Lab, start  # noqa: E402 (a file of the checkout, not of the package)

PICTURES = ROOT / "docs" / "pictures"
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def main(migration: Path) -> None:
    run = max(path.parent for path in (migration / "reports").glob("*/run.json"))
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright, _lab(migration) as lab:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1200, "height": 1000}, color_scheme=scheme)
            page.goto(f"file://{run / 'report.html'}")
            page.wait_for_timeout(1000)
            page.screenshot(path=PICTURES / ("report.png" if scheme == "light" else "report-dark.png"))
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        _notebook(page, lab, run.relative_to(migration) / "51_bias" / "notebook.ipynb")
        page.screenshot(path=PICTURES / "notebook.png")
        for theme, name in (("JupyterLab Light", "lab.png"), ("JupyterLab Dark", "lab-dark.png")):
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            _panel(page, lab, theme)
            page.screenshot(path=PICTURES / name)
        browser.close()


def _panel(page: Page, lab: Lab, theme: str) -> None:
    """The panel with the evidence of one audit beside it, nothing left to wait for."""
    page.goto(lab.address(more="&reset"))
    page.locator('li[data-id="migration-workbench-panel"]').click(timeout=60_000)
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.locator('.mw-nb[data-notebook="51_bias"] .mw-row').click()
    page.locator(".mw-finding").first.wait_for()
    page.mouse.move(900, 850)
    page.wait_for_timeout(2000)


def _notebook(page: Page, lab: Lab, path: Path) -> None:
    page.goto(lab.address(f"/tree/{path}", "&reset"))
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_timeout(3000)
    # Lab draws cells as they come into view: the second call finds the heading where it stays.
    for _ in range(2):
        page.get_by_role("heading", name="The answer").evaluate("heading => heading.scrollIntoView({block: 'start'})")
        page.wait_for_timeout(2000)


@contextmanager
def _lab(folder: Path) -> Iterator[Lab]:
    """A JupyterLab with settings of its own."""
    with tempfile.TemporaryDirectory() as home:
        lab = start(folder, Path(home))
        try:
            yield lab
        finally:
            lab.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "demo").resolve())
