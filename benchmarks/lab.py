"""The panel in JupyterLab, in a real Chromium: what it costs Lab's start, how soon it answers, how soon it tells.

Three Labs stand side by side on the same folder of 50 migrations with 20 runs each: one as our wheel makes it, one with
neither our extension nor plotly's, which comes with it, and one with plotly's as plotly ships it; pages are opened in
turn. Times are the browser's own (`performance.now`), an event's is from the end of the cell, as papermill wrote it, to
the mutation of the page. Every number is a median with a distribution-free 95 % interval by order statistics.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd

from benchmarks import tables
from tests.browser.lab import WITHOUT, Lab, start
from workbench import catalog, store
from workbench.evidence import Evidence, Finding, Limit, Measure, Status
from workbench.measure.intervals import Estimate
from workbench.migration import open_migration

MIGRATIONS, RUNS, FINDINGS = 50, 20, 12
STATIC = Path(catalog.__file__).parents[1] / "labextension" / "static"
LIMITS = {
    "panel interactive, first page of a server": 300.0,
    "panel interactive, reload": 300.0,
    "event on the screen after its cell's end": 500.0,
    "Lab's page slower by": 150.0,
    "Lab's server slower by": 150.0,
    "Lab's page slower by plotly's extension alone": math.nan,
    "bundle, kB": 300.0,
}
"""What is promised: milliseconds, and kB. What is not ours has no limit."""
OURS, PLOTLY = "migration-workbench", "jupyterlab-plotly"
LEFT_OUT: dict[str, tuple[str, ...]] = {"ours": (), "plotly": (OURS,), "bare": (OURS, PLOTLY)}
"""The Labs, by the extensions that each is without."""

READY = """
(() => {
    const started = setInterval(() => {
        const app = window.jupyterapp;
        if (!app) return;
        clearInterval(started);
        app.restored.then(() => {
            window.labReady = performance.now();
            const look = () => {
                const panel = document.querySelector('#migration-workbench-panel');
                const run = panel && panel.querySelector('.mw-buttons button:not([disabled])');
                const there = panel && panel.querySelectorAll('select option').length >= MIGRATIONS;
                if (there && run && panel.querySelector('.mw-nb')) window.panelReady = performance.now();
                else requestAnimationFrame(look);
            };
            look();
        });
    }, 5);
})()
"""
HEARD = """
() => {
    window.heard = [];
    const told = new Set();
    new MutationObserver(() => {
        for (const row of document.querySelectorAll('.mw-nb')) {
            const text = row.querySelector('.mw-bar') ? row.querySelector('.mw-told').textContent : '';
            const key = row.dataset.notebook + ' ' + text;
            if (text.startsWith('Cell') && !told.has(key)) {
                told.add(key);
                window.heard.push([row.dataset.notebook, parseInt(text.split(' ')[1]), Date.now()]);
            }
        }
    }).observe(
        document.querySelector('#migration-workbench-panel'), {childList: true, subtree: true, characterData: true}
    );
}
"""
RUN = "() => window.jupyterapp.commands.execute('migration-workbench:run', {audit: 'bias', force: true})"


def main(quick: bool) -> None:
    """Prints the table and keeps it as results/lab.csv."""
    from playwright.sync_api import sync_playwright

    pages, starts = (6, 3) if quick else (20, 9)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        root = Path(place) / "root"
        live = filled(root)
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        found: dict[str, Sequence[float]] = {"Lab's server slower by": servers(root, Path(place), starts)}
        with labs(root, Path(place) / "homes") as running:
            found |= opened(browser, running, pages)
            heard = events(browser, running["ours"], live, 2 if quick else 6)
            found["event on the screen after its cell's end"] = heard
        found["panel interactive, first page of a server"] = first_pages(browser, root, Path(place), starts)
        browser.close()
    found["bundle, kB"] = [sum(path.stat().st_size for path in STATIC.glob("*.js")) / 1000]
    told([(name, middle(found[name]), len(found[name]), limit) for name, limit in LIMITS.items()])


def middle(values: Sequence[float], level: float = 0.95) -> Estimate:
    """The median with the order statistics around it whose interval covers it with at least `level` (David & Nagaraja
    2003, 7.1); the range where there are too few for that."""
    from scipy.stats import binom

    ranked = np.sort(np.asarray(values, dtype=float))
    n = len(ranked)
    low = max(0, int(binom.ppf((1 - level) / 2, n, 0.5)) - 1)
    return Estimate(float(np.median(ranked)), float(ranked[low]), float(ranked[n - 1 - low]))


# ---------------------------------------------------------------------------------------- what is measured


def servers(root: Path, place: Path, times: int) -> list[float]:
    """Milliseconds that a server with our part takes longer until it answers, in pairs."""
    differences = []
    for turn in range(times):
        took = {}
        for name in ("ours", "bare") if turn % 2 else ("bare", "ours"):
            lab = begun(root, place / f"server-{turn}-{name}", name)
            took[name] = lab.seconds
            lab.stop()
        differences.append(1000 * (took["ours"] - took["bare"]))
    return differences


def opened(browser: Any, running: Mapping[str, Lab], times: int) -> dict[str, list[float]]:
    """Each turn opens a page of every Lab; one page of each beforehand fills the browser's cache."""
    contexts = {name: browser.new_context(viewport={"width": 1300, "height": 1000}) for name in running}
    took: dict[str, list[float]] = {name: [] for name in running}
    panel: list[float] = []
    for name, context in contexts.items():
        panel_shown(context, running[name], ours=name == "ours")
    for turn in range(times):
        for name in sorted(contexts, reverse=turn % 2 == 0):
            ready, shown = ready_in(contexts[name], running[name], ours=name == "ours")
            took[name].append(ready)
            panel += [shown] if shown is not None else []
    for context in contexts.values():
        context.close()
    return {
        "panel interactive, reload": panel,
        "Lab's page slower by": slower(took["ours"], took["bare"]),
        "Lab's page slower by plotly's extension alone": slower(took["plotly"], took["bare"]),
    }


def slower(these: Sequence[float], those: Sequence[float]) -> list[float]:
    return [one - other for one, other in zip(these, those)]


def first_pages(browser: Any, root: Path, place: Path, times: int) -> list[float]:
    """The first page that a fresh server is asked for."""
    found = []
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    for turn in range(times):
        home = place / f"first-{turn}"
        workspace(home)
        lab = begun(root, home, "ours")
        shown = ready_in(context, lab, ours=True)[1]
        found += [shown] if shown is not None else []
        lab.stop()
    context.close()
    return found


def events(browser: Any, lab: Lab, live: Path, times: int) -> list[float]:
    """Milliseconds from the end of a cell to the next one's name on the screen, over several runs."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    page = panel_shown(context, lab, ours=True, keep=True)
    page.locator("#migration-workbench-panel select").select_option(label="live · not assessed")
    found: list[float] = []
    for _ in range(times):
        page.locator('.mw-nb[data-notebook="51_bias"] .mw-told').wait_for()
        page.evaluate(HEARD)
        page.evaluate(RUN)
        page.get_by_role("progressbar", name="Run").wait_for(timeout=60_000)
        page.get_by_role("progressbar", name="Run").wait_for(state="detached", timeout=180_000)
        heard = {(book, cell): at for book, cell, at in page.evaluate("() => window.heard")}
        found += list(delays(newest(live), heard))
    context.close()
    return found


def delays(path: Path, heard: dict[tuple[str, int], float]) -> Iterator[float]:
    """From the end of each code cell, by the notebook's own record, to when the page named the next.

    The cell in which papermill puts the parameters runs as any other, and has no number of its own.
    """
    number, ended = 0, None
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        injected = "injected-parameters" in cell.metadata.get("tags", [])
        number += not injected
        shown = heard.get(("51_bias", number))
        if ended is not None and shown is not None and not injected:
            yield shown - 1000 * ended
        ended = datetime.fromisoformat(cell.metadata.papermill.end_time).replace(tzinfo=UTC).timestamp()


def newest(live: Path) -> Path:
    return max(live.glob("reports/*/51_bias/notebook.ipynb"))


# ---------------------------------------------------------------------------------------- what it is measured on


def filled(root: Path) -> Path:
    """50 migrations with 20 runs of every audit, and one that can run; gives the latter."""
    first = declared(root / "m00", "m00")
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(RUNS):
        kept(first, began + timedelta(days=number))
    for number in range(1, MIGRATIONS - 1):
        copy = shutil.copytree(first, root / f"m{number:02}")
        path = copy / "migration.yaml"
        path.write_text(path.read_text().replace("name: m00", f"name: m{number:02}"))
    return declared(root / "live", "live")


def declared(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    rows = "\n".join(f"{'fm'[n % 2]},{n % 3 % 2},{int(n % 5 > n % 2)}" for n in range(600))
    (folder / "loans.csv").write_text(f"sex,repaid,decision\n{rows}\n")
    (folder / "migration.yaml").write_text(
        f"version: 1\nname: {name}\ndata: {{holdout: loans.csv}}\nlegacy: {{uri: 'column:decision'}}\n"
        "candidate: {uri: 'column:decision'}\ntask: {kind: binary, target: repaid, positive: 1}\n"
        "roles: {protected: [sex]}\naudits: {bias: {draws: 200}}\n"
    )
    return folder


def kept(folder: Path, started: datetime) -> None:
    with store.open_run(folder) as run:
        for entry in catalog.discover():
            if entry.kind == "audit":
                found = evidence(folder, entry, started)
                store.write(run.workplace(entry.stem) / store.EVIDENCE, found.to_json())
                run.publish(entry.stem, audit=found.audit, key=found.key)
        run.finish()


def evidence(folder: Path, entry: catalog.Entry, started: datetime) -> Evidence:
    kinds = list(entry.load().KINDS)
    findings = tuple(
        Finding(
            id=kinds[number % len(kinds)].id, subject=f"subject {number}", title=f"What was seen, {number}",
            status=tuple(Status)[number % 4], change=Measure(value=0.01 * number, low=0.0, high=0.2, n=600),
            judged="change", limit=Limit(value=0.05, better="lower"), why="It matters.", fix="Mend it.",
        )
        for number in range(FINDINGS)
    )  # fmt: skip
    key = catalog.key(open_migration(folder), entry.name)
    return Evidence(
        audit=entry.name, question=entry.question, migration="m00", key=key, started=started, seconds=1.0,
        findings=findings,
    )  # fmt: skip


@contextmanager
def labs(root: Path, place: Path) -> Iterator[dict[str, Lab]]:
    with ExitStack() as stack:
        started = {}
        for name in LEFT_OUT:
            started[name] = begun(root, place / name, name)
            stack.callback(started[name].stop)
        yield started


def begun(root: Path, home: Path, name: str) -> Lab:
    """A Lab that knows every prebuilt extension of this environment but for those it is without."""
    home.mkdir(parents=True, exist_ok=True)
    missing = LEFT_OUT[name]
    if not missing:
        return start(root, home)
    return start(root, home, options=[WITHOUT, f"--LabApp.labextensions_path={[str(extensions(home, missing))]}"])


def extensions(home: Path, missing: Sequence[str]) -> Path:
    """A folder that leads to the extensions; JupyterLab takes the first of a name, so do we."""
    from jupyter_core.paths import jupyter_path

    folder = home / "labextensions"
    folder.mkdir()
    for path in (path for place in jupyter_path("labextensions") for path in sorted(Path(place).glob("*"))):
        if path.name not in missing and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path.resolve(), target_is_directory=True)
    return folder


# ---------------------------------------------------------------------------------------- the browser


def chromium() -> str:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))


def panel_shown(context: Any, lab: Lab, ours: bool, keep: bool = False) -> Any:
    """A page with the panel in front, which Lab restores the next time."""
    page = context.new_page()
    page.goto(lab.address(), timeout=180_000)
    page.wait_for_function("() => window.jupyterapp", timeout=180_000)
    page.evaluate("() => window.jupyterapp.restored")
    if ours:
        page.evaluate("() => window.jupyterapp.commands.execute('migration-workbench:open')")
        page.locator("#migration-workbench-panel .mw-nb").first.wait_for(timeout=180_000)
    page.wait_for_timeout(2500)  # Lab keeps its layout a second after it changed
    if not keep:
        page.close()
    return page


def ready_in(context: Any, lab: Lab, ours: bool) -> tuple[float, float | None]:
    """Milliseconds from the request to Lab restored, and from there to a panel that can be used."""
    page = context.new_page()
    page.add_init_script(READY.replace("MIGRATIONS", str(MIGRATIONS)))
    page.goto(lab.address(), timeout=180_000)
    page.wait_for_function("() => window.labReady", timeout=180_000)
    ready, shown = page.evaluate("() => window.labReady"), None
    if ours:
        page.wait_for_function("() => window.panelReady", timeout=180_000)
        shown = page.evaluate("() => window.panelReady") - ready
    page.wait_for_timeout(500)
    page.close()
    return ready, shown


def workspace(home: Path) -> None:
    """A layout with the panel in front, as Lab would have kept it."""
    from tests.browser.lab import write

    layout = {
        "main": {"dock": None}, "down": {"size": 0, "widgets": []},
        "left": {
            "collapsed": False, "visible": True, "current": "migration-workbench-panel",
            "widgets": ["filebrowser", "running-sessions", "migration-workbench-panel"],
        },
        "right": {"collapsed": True, "visible": True, "widgets": []}, "relativeSizes": [0.25, 0.75, 0],
    }  # fmt: skip
    kept = {"data": {"layout-restorer:data": layout}, "metadata": {"id": "default"}}
    write(home / "jupyterlab_workspaces_dir" / "default-37a8.jupyterlab-workspace", kept)


def told(rows: Sequence[tuple[str, Estimate, int, float]]) -> None:
    """Prints the table, keeps it and writes it into docs/benchmarks.md."""
    lines = [
        (name, found.value, f"{tables.number(found.low)} to {tables.number(found.high)}", n, limit, held(found, limit))
        for name, found, n, limit in rows
    ]
    head = ("ms unless said", "median", "95 % interval", "n", "promised at most", "held")
    tables.keep("lab", pd.DataFrame(lines, columns=list(head)))
    machine = "\n".join(f"- {line}" for line in tables.machine())
    page = f"Measured on {time.strftime('%Y-%m-%d')} on:\n\n{machine}\n\n{tables.markdown(head, lines)}"
    tables.write("benchmarks.md", "lab", page)
    print(page)


def held(found: Estimate, limit: float) -> str:
    return "" if math.isnan(limit) else "yes" if found.value <= limit else "NO"
