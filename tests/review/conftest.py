"""A review server in a thread of its own, over a small migration with one finished run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledger_samples import keep, migration_in
from review_server import Serving

from workbench.evidence import Status


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = migration_in(tmp_path)
    keep(folder, Status.PASS)
    return folder


Served = Callable[..., str]


@pytest.fixture
def serving(folder: Path) -> Iterator[Serving]:
    with Serving(folder) as serving:
        yield serving


@pytest.fixture
def served(serving: Serving) -> Served:
    """Call it with doors to serve the folder; gives the address, without a slash at its end."""
    return serving.start
