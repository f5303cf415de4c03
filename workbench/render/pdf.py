"""A page as PDF, by a headless browser where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
PATIENCE = 120.0
"""Seconds to wait for it: a report with many charts takes a few."""


class NoPdfError(Exception):
    """Why there is no PDF, and what to do, in sentences."""


def pdf(page: Path) -> bytes:
    """The HTML file as it prints. Raises NoPdfError where there is no browser, or it does not print."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise NoPdfError(
            f"No browser to print with was found ({', '.join(BROWSERS)}). Install Chromium, or open {page.name} and "
            "print it to a PDF file."
        )
    with tempfile.TemporaryDirectory(prefix="workbench-pdf-") as place:
        out = Path(place) / "page.pdf"
        command = [
            browser, "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            f"--user-data-dir={place}/profile", "--no-pdf-header-footer", "--virtual-time-budget=10000",
            f"--print-to-pdf={out}", page.resolve().as_uri(),
        ]  # fmt: skip
        if os.name == "posix" and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # Chromium refuses to start as root with it; the page is our own file
        try:
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired as error:
            raise NoPdfError(f"{Path(browser).name} did not print {page.name} within {PATIENCE:.0f} s.") from error
        if done.returncode or not out.exists():
            told = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise NoPdfError(f"{Path(browser).name} did not print {page.name}: {told[-1][:200] if told else 'no word'}")
        return out.read_bytes()
