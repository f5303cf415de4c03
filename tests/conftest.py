"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# The same examples for everybody, and no deadline: on a busy machine hypothesis' 200 ms are a failure about nothing.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# A key of the tests' own: no test may sign with the key of whoever runs it.
os.environ["WORKBENCH_KEYS"] = tempfile.mkdtemp(prefix="workbench-keys-")

# Started in the background of a script, we ignore Ctrl-C, and so would every process that is to be stopped by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Made = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A folder of this name, filled once for all test processes of a session; for reading: copy it to change it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def made(name: str, fill: Callable[[Path], object]) -> Path:
        with FileLock(root / f"{name}.lock"):
            if not (root / name).exists():
                shutil.rmtree(root / f"{name}.part", ignore_errors=True)
                fill(root / f"{name}.part")
                (root / f"{name}.part").rename(root / name)
        return root / name

    return made


@pytest.fixture(scope="session")
def sample_folder(made_once: Made) -> Path:
    """`workbench demo`, as it is written; for reading."""
    from workbench.demo import make_demo

    return made_once("sample", make_demo)


@pytest.fixture(scope="session")
def clean_folder(made_once: Made) -> Path:
    """Its clean twin; for reading."""
    from workbench.demo import make_demo

    return made_once("clean", lambda folder: make_demo(folder, clean=True))


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
