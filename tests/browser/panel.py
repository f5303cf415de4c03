"""The panel in a Lab that was just opened, and what is looked at in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from tests.browser.lab import Lab
from workbench.runner import copy_notebooks

PANEL = "#migration-workbench-panel"
HOSTILE = "<img src=x onerror=window.hacked=1>"


def filled(root: Path) -> Path:
    """Migrations that are judged in seconds, one with a name that would run as markup, and two files for one more."""
    declared(root / "credit", "credit")
    declared(root / f"b{HOSTILE}", HOSTILE)
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"income": rng.normal(40, 9, 600), "debts": rng.normal(9, 3, 600), "sex": rng.choice(["f", "m"], 600)}
    )
    rows["repaid"] = (rows.income - 2 * rows.debts + rng.normal(0, 8, 600) > 20).astype(int)
    (root / "raw").mkdir()
    rows.to_csv(root / "raw" / "loans.csv", index=False)
    from sklearn.linear_model import LogisticRegression

    joblib.dump(LogisticRegression().fit(rows[["income", "debts"]], rows.repaid), root / "raw" / "legacy.joblib")
    return root


def declared(folder: Path, name: str) -> None:
    folder.mkdir()
    rows = "\n".join(f"{'fm'[n % 2]},{n % 3 % 2},{int(n % 5 > n % 2)}" for n in range(600))
    (folder / "loans.csv").write_text(f"sex,repaid,decision\n{rows}\n")
    (folder / "migration.yaml").write_text(
        f"version: 1\nname: '{name}'\ndata: {{holdout: loans.csv}}\nlegacy: {{uri: 'column:decision'}}\n"
        "candidate: {uri: 'column:decision'}\ntask: {kind: binary, target: repaid, positive: 1}\n"
        "roles: {protected: [sex]}\naudits:\n  bias: {draws: 200}\n"
        f"limits:\n  bias/selection-rate-gap: {{value: 0.05, better: lower, set_by: '{name}'}}\n"
    )
    copy_notebooks(folder)


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


def taken(panel: Any, name: str) -> None:
    """Takes the migration of this name at hand."""
    label = panel.locator("select option").evaluate_all(
        "(all, name) => all.map(one => one.textContent).find(text => text.startsWith(name + ' · '))", name
    )
    panel.locator("select").select_option(label=label)
    panel.locator(".mw-nb").first.wait_for()


def row(panel: Any, notebook: str) -> Any:
    return panel.locator(f'.mw-nb[data-notebook="{notebook}"]')


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
