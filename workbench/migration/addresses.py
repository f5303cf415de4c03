"""Which addresses of a tracking store are read, and how one is shown without what is secret in it."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SERVERS = ("http", "https")
_SECRET = re.compile(r"pass(word|wd)?|pwd|token|secret|sslkey|key", re.IGNORECASE)


def address_problem(uri: str) -> str:
    """Why this is no address of an MLflow store to write into migration.yaml, as the end of a sentence; "" if it is."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        return f"this address cannot be read ({error}): write sqlite:///FILE, a database's URL, or https://SERVER"
    kind = parts.scheme.partition("+")[0]
    if kind in ("", "file") or len(kind) == 1:
        return "MLflow keeps its file store for reading only: write sqlite:///FILE, e.g. sqlite:///.workbench/mlflow.db"
    if kind not in (*DATABASES, *SERVERS):
        return f"{parts.scheme!r} is no store that is written to: {', '.join((*DATABASES, *SERVERS))} are"
    if secrets(uri):
        return (
            "it holds a password, and this file is hashed, shown and shared: leave `uri` out and set the whole address "
            "in MLFLOW_TRACKING_URI, or the password in MLFLOW_TRACKING_PASSWORD (MLFLOW_TRACKING_TOKEN for a token)"
        )
    if kind in SERVERS and not parts.hostname:
        return "it names no server: write https://HOST:PORT"
    return "" if kind in SERVERS or parts.path.strip("/") else "it names no database: write sqlite:///FILE"


def secrets(uri: str) -> tuple[str, ...]:
    """What must not be shown of an address: its password, and values of its query that are named as secrets are."""
    parts = urlsplit(uri)
    values = [value for name, value in parse_qsl(parts.query) if _SECRET.search(name)]
    return tuple(filter(None, [_password(parts), *values]))


def shown(uri: str) -> str:
    """An address for people: without user, password and query."""
    scheme, _, rest = uri.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}".split("?")[0].split("#")[0]


def _password(parts: SplitResult) -> str:
    # As it stands in the address, not decoded: this is what a library would print.
    return parts.netloc.rpartition("@")[0].partition(":")[2]
