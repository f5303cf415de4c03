"""A real JupyterLab, with settings, kernels and workspaces of its own, and a page that reaches nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import Lab, start

PATIENCE = 180_000
"""Milliseconds until something is there; on an idle machine nothing takes 10,000."""

Serve = Callable[..., Lab]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts a JupyterLab on a folder, below a base URL. One that does not end when it is asked to fails the tests."""
    started: list[Lab] = []

    def begin(folder: Path, base: str = "/", *options: str) -> Lab:
        started.append(start(folder, tmp_path_factory.mktemp("home"), base, options))
        return started[-1]

    yield begin
    for lab in started:
        lab.stop()


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
    yield context.new_page()
    context.close()
    assert outside == []
