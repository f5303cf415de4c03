"""The one door to MLflow: finds what is recorded already, writes what is not, and bounds how long it waits."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from workbench.tracking.address import Address, TrackingError
from workbench.tracking.records import Planned, Record, key_of, value_of

Item = TypeVar("Item")

IDENTITY = "workbench.identity"
DIGEST = "workbench.digest"
KIND = "workbench.kind"
LEFT_OUT = "workbench.left_out"
LARGEST = 512 * 1024**2
"""Bytes of a file that is kept as an artifact; of a larger one only its name, size and digest."""
METRICS, OTHERS = 1000, 100
"""What MLflow takes at once."""
WAITS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
QUIET = {
    # Nothing is told to anybody: the workbench talks to the store that was named, and to nobody else.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
PIP = "pip install 'migration-workbench[tracking]'"


class Store:
    """An experiment of an MLflow store. Made by `opened`."""

    def __init__(self, client: Any, address: Address, experiment: str) -> None:
        self.client, self.address, self.experiment = client, address, experiment
        self._known: dict[str, tuple[str, str]] = {}

    def learn(self) -> None:
        """Reads which records are there, also those that a person has deleted: they are not made again."""
        self._known = {
            tags[IDENTITY]: (run.info.run_id, tags.get(DIGEST, ""))
            for run in self._runs()
            if IDENTITY in (tags := run.data.tags)
        }

    def _runs(self) -> Iterator[Any]:
        token = None
        while True:
            page = self.client.search_runs([self.experiment], run_view_type=3, max_results=1000, page_token=token)
            yield from page
            if not (token := page.token):
                return

    def keep(self, planned: Planned) -> bool:
        """Makes the record and those below it unless it is there as it is now; whether anything was written.

        The digest is written last: a record that was cut short is gone on with.
        """
        if self._known.get(planned.identity, ("", ""))[1] == planned.digest:
            return False
        self._write(planned.make(), planned.digest)
        return True

    def run_of(self, identity: str) -> str:
        """MLflow's id of a record that is there; "" if it is not."""
        return self._known.get(identity, ("", ""))[0]

    def _write(self, record: Record, digest: str, parent: str = "") -> str:
        digest = record.digest or digest
        known, before = self._known.get(record.identity, ("", ""))
        if before == digest:
            return known
        run = known or self._created(record, parent)
        if known and self.client.get_run(run).info.lifecycle_stage == "deleted":
            return run
        self._log(run, record)
        for child in record.children:
            self._write(child, digest, run)
        self.client.set_tag(run, DIGEST, digest)
        self.client.set_terminated(run, "FAILED" if record.failed else "FINISHED", _ms(record.ended))
        self._known[record.identity] = (run, digest)
        return run

    def _created(self, record: Record, parent: str) -> str:
        tags = {IDENTITY: record.identity, KIND: record.kind} | ({"mlflow.parentRunId": parent} if parent else {})
        made = self.client.create_run(self.experiment, start_time=_ms(record.began), run_name=record.name, tags=tags)
        return str(made.info.run_id)

    def _log(self, run: str, record: Record) -> None:
        from mlflow.entities import Metric, Param, RunTag

        left: list[str] = []
        for folder, files in record.files.items():
            for file in files:
                if file.stat().st_size > LARGEST:
                    left.append(f"{file.name} ({file.stat().st_size / 1e6:,.0f} MB)")
                else:
                    self.client.log_artifact(run, str(file), folder or None)
        for name, text in record.texts.items():
            self.client.log_text(run, text, name)
        tags = dict(record.tags) | ({LEFT_OUT: "too large to keep here: " + ", ".join(left)} if left else {})
        began = _ms(record.began)
        for points in _at_once(record.points, METRICS):
            # The same time whenever it is written: MLflow passes over a value that it has at that time already.
            made = [Metric(key_of(p.name), p.value, began + int(p.after * 1000), p.step) for p in points]
            self.client.log_batch(run, metrics=made)
        for pairs in _at_once(record.params.items(), OTHERS):
            self.client.log_batch(run, params=[Param(key_of(name), value_of(value)) for name, value in pairs])
        for named in _at_once(tags.items(), OTHERS):
            self.client.log_batch(run, tags=[RunTag(key_of(name), value_of(value)) for name, value in named])


def _at_once(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    rest = iter(items)
    while some := tuple(islice(rest, size)):
        yield some


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def opened(address: Address, experiment: str, told: Callable[[str], None]) -> Store:
    """The experiment in the store, made where it is not there yet. told: hears why it takes a while.

    Raises TrackingError where the store cannot be reached, or what it takes is not installed.
    """
    _installed(address)
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    os.environ.update({name: value for name, value in WAITS.items() if name not in os.environ})
    for name in ("mlflow", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.ERROR)
    _reached(address)
    if address.file and not address.file.exists():
        told(f"Making the tracking store {address.shown} (its first use takes some ten seconds) ...")
    elif address.embedded:
        _put_aside_if_moved(address, experiment, told)
    with quietly():
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=address.uri, registry_uri=address.uri)
        return Store(client, address, _experiment(client, address, experiment))


def _installed(address: Address) -> None:
    wanted = ["mlflow"] + ([] if address.is_server else ["sqlalchemy", "alembic"])
    if missing := [name for name in wanted if importlib.util.find_spec(name) is None]:
        raise TrackingError(f"Tracking needs {' and '.join(missing)}, which is not installed: {PIP}")


def _reached(address: Address) -> None:
    """One try of our own: MLflow's own ten take minutes where a database does not answer."""
    if address.is_server or address.file:
        return
    import sqlalchemy

    engine = sqlalchemy.create_engine(address.uri, pool_pre_ping=True)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _experiment(client: Any, address: Address, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        raise TrackingError(
            f"The experiment {name!r} was deleted in {address.shown}: restore it there, or name another one "
            "(tracking.experiment in migration.yaml)."
        )
    if found is not None:
        return str(found.experiment_id)
    # A database keeps no files: they go beside the migration. A server knows itself where they go.
    place = None if address.is_server else address.artifacts.as_uri()
    return str(client.create_experiment(name, artifact_location=place))


def _put_aside_if_moved(address: Address, experiment: str, told: Callable[[str], None]) -> None:
    """The store names its files by their full path: that of a folder that was moved or copied is made anew."""
    assert address.file
    with contextlib.closing(sqlite3.connect(f"file:{address.file}?mode=ro", uri=True)) as database:
        try:
            row = database.execute("select artifact_location from experiments where name = ?", (experiment,)).fetchone()
        except sqlite3.OperationalError:
            return
    if row is None or Path(unquote(urlsplit(row[0]).path)) == address.artifacts:
        return
    aside = next(p for n in range(1, 1000) if not (p := address.file.with_suffix(f".moved-{n}.db")).exists())
    address.file.replace(aside)
    told(f"This folder was moved: its tracking store is made anew, the old one is kept as {aside.name}.")


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without what MLflow and its parts warn of among themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def problem(error: Exception, address: Address) -> TrackingError:
    """A library's error as one sentence, without secrets."""
    if isinstance(error, TrackingError):
        return error
    lines = address.scrubbed(str(error)).strip().splitlines() or [type(error).__name__]
    what = lines[0].partition(" (Caused by")[0][:300].rstrip(".:")
    return TrackingError(
        f"The tracking store {address.shown} could not be written: {what}. What was run is stored all the same; "
        "`workbench track` goes on from here."
    )
