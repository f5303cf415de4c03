"""The connection to a Ray cluster, or to one of this machine that is started for the purpose."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from typing import Any

VARIABLE = "RAY_ADDRESS"
STORE = 100 * 1024**2
"""Bytes of a local cluster's object store: events and a search's rows go through it; what is more goes to its disk."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class ClusterError(Exception):
    """There is no cluster to work on; the message says what to do."""


@contextlib.contextmanager
def connected(address: str = "", cores: int | None = None) -> Iterator[Any]:
    """Ray, connected to the cluster at `address`, else at RAY_ADDRESS, else to one of this machine, which ends with it.

    A connection that this process has already is used, and left. cores: to give out on one of this machine; all of its
    own where it is None. Raises ClusterError.
    """
    import ray

    if ray.is_initialized():
        yield ray
        return
    _connect(ray, address or os.environ.get(VARIABLE, "") or "local", cores)
    try:
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str, cores: int | None) -> None:
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    kept = signal.getsignal(signal.SIGTERM)
    own = {"object_store_memory": STORE, "include_dashboard": False, "num_cpus": cores} if address == "local" else {}
    try:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except Exception:
            if address != "local":
                raise
            ray.shutdown()  # Ray gives its own processes 30 s to start, which a busy machine may not do at once
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:
        raise ClusterError(_unreached(address, error)) from error
    finally:
        with contextlib.suppress(ValueError):  # only the main thread may, and only there Ray changed it
            signal.signal(signal.SIGTERM, kept)


def _unreached(address: str, error: Exception) -> str:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    if address == "local":
        return f"Ray could not be started on this machine ({said}): use the engine local, or name a cluster."
    return (
        f"There is no Ray cluster at {address} ({said}): start one (`ray start --head`), correct --ray-address or "
        f"{VARIABLE}, or leave both out for one of this machine."
    )
