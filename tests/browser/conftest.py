"""A real JupyterLab, with settings, kernels and workspaces of its own, and a page that reaches nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import Lab, start
from tests.browser.panel import filled

BUILT = Path(__file__).parents[2] / "workbench" / "labextension" / "static" / "style.js"
PATIENCE = 1000 * int(os.environ.get("WORKBENCH_PATIENCE", "180"))
"""Milliseconds until something is there; on an idle machine nothing takes 10,000."""

Serve = Callable[..., Lab]


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts a JupyterLab on a folder, below a base URL. One that our code keeps from ending fails the tests."""
    with ExitStack() as stack:

        def begin(folder: Path, base: str = "/", *options: str) -> Lab:
            lab = start(folder, tmp_path_factory.mktemp("home"), base, options)
            stack.callback(lab.stop)
            return lab

        yield begin


@pytest.fixture(scope="session")
def migrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the one Lab that the tests of the panel share; each takes a migration of its own."""
    return filled(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="session")
def lab(migrations: Path, serve: Serve) -> Lab:
    if not BUILT.exists():
        pytest.skip("the extension is not built here: make extension")
    return serve(migrations, "/user/ada/")


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that reaches nothing but this machine; whatever else it asks for fails the test."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    context.set_default_timeout(PATIENCE)
    outside: list[str] = []

    def route(route: Any) -> None:
        if route.request.url.startswith(("http://127.0.0.1", "data:", "blob:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", route)
    page = context.new_page()
    page.on("websocket", lambda socket: outside.extend({socket.url} if "//127.0.0.1:" not in socket.url else ()))
    yield page
    context.close()
    assert outside == []
