"""`workbench review` under twenty readers: how soon a page is there, how soon its controls are, what memory it takes.

The server is the command a person types, on a copy of the demo with a finished run. One reader is a real Chromium: cold
is the first visit to a fresh server with an empty cache, and a paint is the browser's own first contentful paint, which
shows the verdict, for pages are drawn by the server and need no script. Twenty readers are HTTP clients, so that no
browser takes the processors from the server; their time is from the request to the page's last byte. First they all
read; then they go on reading while twenty more ask for controls at once. Memory is the proportional set size of the
server, Voila and all kernels, its largest value.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from benchmarks import tables
from benchmarks.lab import chromium
from benchmarks.places import ROOT
from tests.review.visitor import Visitor, come_in
from workbench.ui.review.people import People

READERS, THINKING = 20, 1.0
PAGES = ("/", "/notebook/bias", "/notebook/parity", "/notebook/readiness", "/decide", "/comments")
HELD = {
    "cold visitor, first paint, s": 2.0,
    "warm visitor, first paint, s": 1.0,
    "20 readers at once, 95 % of pages within, s": 4.0,
    "the same while 20 more ask for controls, s": 4.0,
    "20 ask for controls: page with the verdict, 95 % within, s": 4.0,
    "memory in all at most, GB": 3.0,
}
"""What is promised, at most."""
PAINT = """
() => new Promise(done => new PerformanceObserver((list, observer) => {
    const [paint] = list.getEntriesByName('first-contentful-paint');
    if (paint) { observer.disconnect(); done(paint.startTime / 1000); }
}).observe({type: 'paint', buffered: true}))
"""


@dataclass
class Seen:
    """Seconds by what they are of, memory in bytes, and answers that were no page."""

    took: dict[str, list[float]] = field(default_factory=dict)
    memory: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    def add(self, name: str, seconds: float) -> None:
        self.took.setdefault(name, []).append(seconds)


def main(quick: bool) -> None:
    """Prints the tables, keeps them as results/review.csv, and writes them into docs/dashboards.md."""
    if not list((ROOT / "demo" / "reports").glob("*/run.json")):
        sys.exit("There is no demo with a finished run to show: make demo")
    seen = Seen()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "demo"
        shutil.copytree(ROOT / "demo", folder)
        alone(folder, seen, 2 if quick else 5)
        crowd(folder, seen, 2 if quick else 5)
    told(seen)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a server of its own, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "import sys; from workbench.ui.cli import main; sys.exit(main())"]
    process = subprocess.Popen([*command, "review", str(folder), "--port", str(port)], stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                if Visitor(address).ask("GET", "/alive") == 200:
                    break
            except OSError:
                if process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


# ---------------------------------------------------------------------------------------- one reader


def alone(folder: Path, seen: Seen, times: int) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        for _ in range(times):
            with served(folder) as (address, _process):
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                page = context.new_page()
                page.set_default_timeout(180_000)
                visit(page, address, People(folder).invite("reader"), seen)
                context.close()
        browser.close()


def visit(page: Any, address: str, link: str, seen: Seen) -> None:
    page.goto(f"{address}/invite/{link}")
    page.click("text=Start the review")
    page.wait_for_load_state()
    seen.add("cold visitor, first paint, s", page.evaluate(PAINT))
    for path in PAGES:
        page.goto(address + path)
        seen.add("warm visitor, first paint, s", page.evaluate(PAINT))
    for turn in ("first", "next"):
        page.goto(f"{address}/notebook/bias")
        began = time.perf_counter()
        page.click("text=Explore")
        page.wait_for_selector(".noUi-handle")
        page.wait_for_selector("#live[data-state=live]")
        seen.add(f"from “Explore” to a slider that moves, {turn}, s", time.perf_counter() - began)


# ---------------------------------------------------------------------------------------- twenty readers


def crowd(folder: Path, seen: Seen, rounds: int) -> None:
    with served(folder) as (address, process), ThreadPoolExecutor(2 * READERS + 1) as pool:
        readers, explorers = ([come(folder, address, f"{kind}{n}") for n in range(READERS)] for kind in ("r", "e"))
        reading = [
            pool.submit(read, one, seen, "20 readers at once, 95 % of pages within, s", rounds) for one in readers
        ]
        for one in reading:
            one.result()
        over = threading.Event()
        watching = pool.submit(watch, process, seen, over)
        name = "the same while 20 more ask for controls, s"
        reading = [pool.submit(read, one, seen, name, 100 * rounds, over) for one in readers]
        exploring = [pool.submit(explore, one, seen) for one in explorers]
        for one in exploring:
            one.result()
        over.set()
        for one in [*reading, watching]:
            one.result()


def come(folder: Path, address: str, login: str) -> Visitor:
    visitor = Visitor(address, patience=600)
    come_in(visitor, folder, login)
    return visitor


def read(visitor: Visitor, seen: Seen, name: str, rounds: int, over: threading.Event | None = None) -> None:
    """All pages, again and again, with a moment between them, but for the very first: all begin at once."""
    for _ in range(rounds):
        for path in PAGES:
            if over and over.is_set():
                return
            seen.add(name, asked(visitor, path, seen))
            time.sleep(THINKING)


def explore(visitor: Visitor, seen: Seen) -> None:
    """The page with the verdict, then the one with controls, waiting in line as a browser does; looked at, closed."""
    name = "20 ask for controls: page with the verdict, 95 % within, s"
    began = time.perf_counter()
    seen.add(name, asked(visitor, "/explore/bias", seen))
    while True:
        took = asked(visitor, "/explore/bias/live", seen)
        kernel = re.search(r'"kernelId": "([0-9a-f-]{36})"', visitor.page)
        if kernel:
            break
        seen.add(name, took)
        time.sleep(float(visitor.headers["retry-after"]))
    seen.add("20 ask for controls: until the page is there, s", time.perf_counter() - began)
    time.sleep(15)
    visitor.ask("POST", f"/explore/voila/api/shutdown/{kernel[1]}", {})


def asked(visitor: Visitor, path: str, seen: Seen) -> float:
    began = time.perf_counter()
    seen.statuses[visitor.ask("GET", path)] += 1
    return time.perf_counter() - began


def watch(process: psutil.Process, seen: Seen, over: threading.Event) -> None:
    while not over.wait(1):
        family, taken = [process, *process.children(recursive=True)], 0
        for one in family:
            try:
                taken += one.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue
        seen.memory = max(seen.memory, taken)


# ---------------------------------------------------------------------------------------- what is told


def told(seen: Seen) -> None:
    found = {name: figure(name, values) for name, values in seen.took.items()}
    found["memory in all at most, GB"] = seen.memory / 1e9
    lines = [
        (name, value, len(seen.took.get(name, [1])), HELD.get(name, ""), verdict(name, value))
        for name, value in found.items()
    ]
    head = ("what", "measured", "n", "promised at most", "held")
    tables.keep("review", pd.DataFrame(lines, columns=list(head)))
    answers = ", ".join(f"{count} × {status}" for status, count in sorted(seen.statuses.items()))
    text = f"Measured {time.strftime('%Y-%m-%d')} on:\n" + "\n".join(f"- {line}" for line in tables.machine())
    tables.write("dashboards.md", "review", f"{text}\n\n{tables.markdown(head, lines)}\n\nAnswers: {answers}.")
    print(tables.markdown(head, lines), answers, sep="\n")


def figure(name: str, values: Sequence[float]) -> float:
    return float(np.quantile(values, 0.95) if "95 %" in name else np.median(values))


def verdict(name: str, value: float) -> str:
    return "" if name not in HELD else "yes" if value <= HELD[name] else "NO"
