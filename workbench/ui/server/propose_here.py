"""The process that opens data and model to propose a migration: one JSON document on stdin, one line on stdout."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from workbench import catalog

LAST = 330
"""Seconds after which it ends itself, should nobody be there any more to end it."""


def proposed(job: dict[str, Any]) -> dict[str, Any]:
    """The proposal as the API tells it, or the `problem` in words."""
    from workbench.proposal import propose

    try:
        proposal = propose(
            job["name"], job["data"], job["model"], folder=Path(job["folder"]),
            target=job["target"], positive=job["positive"], protected=job["protected"], train=job["train"] or None,
            production=job["production"] or None, task=job["task"], options=job["options"],
            limits=catalog.default_limits(),
        )  # fmt: skip
    except Exception as error:
        if type(error).__module__.startswith("workbench."):
            return {"problem": str(error)}
        return {"problem": f"opening them broke: {type(error).__name__}"}
    titles = {kind.id: kind.title for kind in catalog.kinds().values()}
    return {
        "values": [value.model_dump(mode="json") for value in proposal.values],
        "unsure": [value.key for value in proposal.unsure],
        "text": proposal.text(titles),
        "columns": _columns(job["data"]),
    }


def _columns(data: list[str]) -> list[str]:
    from workbench.data import open_data

    return [column.name for column in open_data(data[0]).columns]


def main() -> int:
    signal.alarm(LAST)
    job = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    out.write(json.dumps(proposed(job), default=str) + "\n")
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
