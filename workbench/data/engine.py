"""The process's one DuckDB, behind Ibis: bounded memory and threads, spilling to a folder of its own, no network."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa
    from duckdb import DuckDBPyConnection
    from ibis.backends.duckdb import Backend

MEMORY = "1GB"
THREADS = 2
_numbers = itertools.count()


@cache
def engine() -> Backend:
    """DuckDB in memory. Extensions are never fetched: what the wheel lacks is an error, not a download."""
    import ibis

    spill = tempfile.mkdtemp(prefix="workbench-duckdb-")
    atexit.register(shutil.rmtree, spill, ignore_errors=True)
    found = ibis.duckdb.connect(
        ":memory:",
        memory_limit=MEMORY,
        threads=min(THREADS, os.cpu_count() or 1),
        temp_directory=spill,
        autoinstall_known_extensions=False,
        autoload_known_extensions=False,
    )
    # In a notebook DuckDB would draw a bar of its own, which stays in the saved file as a widget that nothing moves.
    found.con.execute("SET enable_progress_bar = false")
    return found


def duck() -> DuckDBPyConnection:
    connection: DuckDBPyConnection = engine().con
    return connection


def query(sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    return duck().execute(sql, parameters or []).fetchall()


def relation(name: str) -> ir.Table:
    """A table or view of the engine as an Ibis expression."""
    with _quiet():
        return engine().table(name)


def fetch(expr: ir.Table) -> pa.Table:
    """The rows of an expression."""
    with _quiet():
        return expr.to_pyarrow()


@contextlib.contextmanager
def lent(name: str, values: Any) -> Iterator[ir.Table]:
    """A numpy array as a table of one column, while it is needed."""
    import pyarrow as pa

    table = fresh("lent")
    duck().register(table, pa.table({name: values}))
    try:
        yield relation(table)
    finally:
        duck().unregister(table)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ibis 12 calls names that DuckDB 2 deprecates; nobody but Ibis can change that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fetch_.*deprecated")
        yield


def fresh(prefix: str) -> str:
    return f"{prefix}_{next(_numbers)}"


def drop(kind: str, name: str) -> None:
    """Forget a table or view; called when nobody holds it any more, also while the interpreter ends."""
    with contextlib.suppress(Exception):
        duck().execute(f"DROP {kind} IF EXISTS {name}")


def quoted(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
