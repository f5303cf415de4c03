"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def cases() -> Path:
    """Real data and old models kept outside the repository; tests that need them skip where they are not."""
    folder = Path(os.environ.get("WORKBENCH_CASES", ROOT.parent / "shared" / "cases"))
    if not folder.is_dir():
        pytest.skip(f"no real cases at {folder}: set WORKBENCH_CASES to run this test")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium. Where there is none its tests skip with the reason; with WORKBENCH_REQUIRE_BROWSER=1 they fail."""
    lacking = pytest.fail if os.environ.get("WORKBENCH_REQUIRE_BROWSER") == "1" else pytest.skip
    try:
        from playwright import sync_api
    except ImportError as error:
        lacking(f"no playwright to drive a browser with: {error}")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    with sync_api.sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(
                executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            )
        except sync_api.Error as error:
            lacking(f"no Chromium to open: {str(error).splitlines()[0]}")
        yield started
        started.close()
