"""Which store is written to, and what of its address may be shown."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from workbench.migration import Migration
from workbench.migration.addresses import SERVERS, address_problem, secrets, shown

VARIABLE = "MLFLOW_TRACKING_URI"
SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY")
HERE = ".workbench"
FILE = "mlflow.db"
ARTIFACTS = "mlartifacts"


class TrackingError(Exception):
    """Nothing more could be recorded; the message says why and what to do. The migration itself is untouched."""


@dataclass(frozen=True)
class Address:
    """A store. uri: as MLflow takes it, with whatever is secret in it; folder: the migration's.

    embedded: the file beside the migration, which may be thrown away and is made again.
    """

    uri: str
    folder: Path
    embedded: bool = False

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"

    @property
    def shown(self) -> str:
        """For people, logs and files: without user, password and query."""
        return shown(self.uri)

    @property
    def is_server(self) -> bool:
        return urlsplit(self.uri).scheme in SERVERS

    @property
    def file(self) -> Path | None:
        """Of an sqlite store."""
        return Path(self.uri.removeprefix("sqlite:///")) if self.uri.startswith("sqlite:///") else None

    @property
    def artifacts(self) -> Path:
        """Where the files of a store go that is a database: beside the migration."""
        return self.folder / HERE / ARTIFACTS

    def scrubbed(self, text: str) -> str:
        """A text of a library's, without what is secret in the address or in the environment."""
        told = text.replace(self.uri, self.shown)
        for secret in (*secrets(self.uri), *(os.environ.get(name, "") for name in SECRETS)):
            for form in {secret, unquote(secret)} - {""}:
                told = told.replace(form, "***")
        return told


def address(migration: Migration, given: str = "") -> Address:
    """The store of a migration: as given, else as declared, else as in MLFLOW_TRACKING_URI, else the file beside it.

    Raises TrackingError for an address that MLflow does not write to.
    """
    folder = migration.folder.resolve()
    declared = migration.tracking.uri if migration.tracking else None
    uri = given or declared or os.environ.get(VARIABLE, "")
    if not uri:
        return Address(f"sqlite:///{folder / HERE / FILE}", folder, embedded=True)
    problem = address_problem(uri)
    if problem and not secrets(uri):
        source = "--uri" if given else VARIABLE
        raise TrackingError(f"{shown(uri)} ({source}) is not used: {problem}.")
    return Address(_placed(uri, folder), folder, embedded=_placed(uri, folder) == f"sqlite:///{folder / HERE / FILE}")


def _placed(uri: str, folder: Path) -> str:
    """A relative file counts from the migration's folder, as every path in migration.yaml does."""
    if not uri.startswith("sqlite:///"):
        return uri
    path = uri.removeprefix("sqlite:///")
    return uri if Path(path).is_absolute() else f"sqlite:///{(folder / path).resolve()}"
