"""Remakes the README's pictures from the demo, and pictures of every page of the panel to look at: `make pictures`.

Needs Chromium and a finished `make demo`. The README's lie in docs/pictures, the others in screenshots/, out of git.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.lab import Lab, start  # noqa: E402 (a file of the checkout, not of the package)

PICTURES, SCREENSHOTS = ROOT / "docs" / "pictures", ROOT / "screenshots"
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
THEMES = {"": "JupyterLab Light", "-dark": "JupyterLab Dark"}
PATIENCE = 120_000


def main(migration: Path) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright, _lab(migration) as (lab, folder):
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        run = max(path.parent for path in (folder / "reports").glob("*/run.json"))
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1200, "height": 1000}, color_scheme=scheme)
            page.goto(f"file://{run / 'report.html'}")
            page.wait_for_timeout(1000)
            page.screenshot(path=PICTURES / ("report.png" if scheme == "light" else "report-dark.png"))
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        _notebook(page, lab, run.relative_to(folder.parent) / "51_bias" / "notebook.ipynb")
        page.screenshot(path=PICTURES / "notebook.png")
        for more, theme in THEMES.items():
            _pages(browser, lab, theme, more)
        browser.close()


def _pages(browser: Browser, lab: Lab, theme: str, more: str) -> None:
    """Every page of the panel in one theme."""
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.set_default_timeout(PATIENCE)
    page.goto(lab.address(more="&reset"))
    page.locator('li[data-id="migration-workbench-panel"]').click()
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    panel = page.locator("#migration-workbench-panel")
    panel.locator(".mw-nb").first.wait_for()
    page.get_by_text("New Migration").first.wait_for()
    _taken(page, SCREENSHOTS / f"launcher{more}.png")
    panel.locator('.mw-nb[data-notebook="51_bias"] .mw-row').click()
    page.locator(".mw-finding").first.wait_for()
    _taken(page, PICTURES / f"lab{more}.png")
    # What passed is closed: the finding with the first chart is looked at, too.
    page.evaluate("() => document.querySelectorAll('.mw-finding:not([open]) > summary').forEach(line => line.click())")
    page.locator(".mw-Evidence .js-plotly-plot .main-svg").first.scroll_into_view_if_needed()
    _taken(page, SCREENSHOTS / f"chart{more}.png")
    panel.get_by_role("button", name="History").click()
    compare = page.locator(".mw-History").get_by_role("button", name="Compare")
    compare.wait_for()
    if compare.is_enabled():
        compare.click()
        page.locator(".mw-History section").wait_for()
    _taken(page, SCREENSHOTS / f"compare{more}.png")
    panel.get_by_role("button", name="Preview").click()
    page.frame_locator("iframe[title=Preview]").get_by_text("Preview: this is").wait_for()
    _taken(page, SCREENSHOTS / f"preview{more}.png")
    _wizard(page)
    _taken(page, SCREENSHOTS / f"wizard{more}.png")
    page.close()


def _wizard(page: Page) -> None:
    """What is proposed for two files of the file browser."""
    page.locator('li[data-id="filebrowser"]').click()
    page.evaluate("() => window.jupyterapp.commands.execute('filebrowser:go-to-path', {path: '/files'})")
    page.locator(".jp-DirListing-item", has_text="holdout.csv").click()
    page.locator(".jp-DirListing-item", has_text="legacy.joblib").click(modifiers=["Control"])
    page.evaluate("() => window.jupyterapp.commands.execute('migration-workbench:new-from-files')")
    page.locator(".mw-Wizard .mw-reasons").wait_for()


def _taken(page: Page, path: Path) -> None:
    """With nothing left to wait for, and nothing under the mouse."""
    page.mouse.move(900, 850)
    page.wait_for_timeout(2000)
    page.screenshot(path=path)


def _notebook(page: Page, lab: Lab, path: Path) -> None:
    page.goto(lab.address(f"/tree/{path}", "&reset"))
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PATIENCE)
    page.wait_for_timeout(3000)
    # Lab draws cells as they come into view: the second call finds the heading where it stays.
    for _ in range(2):
        page.get_by_role("heading", name="The answer").evaluate("heading => heading.scrollIntoView({block: 'start'})")
        page.wait_for_timeout(2000)


@contextmanager
def _lab(migration: Path) -> Iterator[tuple[Lab, Path]]:
    """A JupyterLab with settings of its own, on a copy of the migration beside two files for a new one."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "work"
        folder = Path(shutil.copytree(migration, root / "lending"))
        (root / "files").mkdir()
        for name in ("data/holdout.csv", "models/legacy.joblib"):
            shutil.copy(migration / name, root / "files")
        lab = start(root, Path(place) / "home")
        try:
            yield lab, folder
        finally:
            lab.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "demo").resolve())
