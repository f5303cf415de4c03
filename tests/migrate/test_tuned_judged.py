"""What tuning wrote, as the candidate: its answers are made once, by its content, and every audit reads them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from workbench import catalog, scored
from workbench.evidence import Status, Text
from workbench.migration import update

QUICK = {"trials": 1, "minutes": None, "rows": 200, "seconds": 0.1, "batch": 64}
AUDITS: dict[str, dict[str, Any]] = {
    "parity": {"draws": 100},
    "bias": {"draws": 200},
    "benchmark": {"batches": [64], "seconds": 0.1, "samples": 10},
}


@pytest.mark.slow
@pytest.mark.long
def test_a_tuned_candidate_is_scored_once_for_all_audits(
    sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = scored._ask

    def counted(side: str, *rest: Any) -> Any:
        asked.append(side)
        return real(side, *rest)

    monkeypatch.setattr(scored, "_ask", counted)
    folder = tmp_path / "lending"
    shutil.copytree(sample_folder, folder)
    migration = update(folder, {"data": {"sample": 600}})
    catalog.run(migration, "replatform")
    searched = catalog.run(migration, "tuning", QUICK)
    asked.clear()
    made = next(one for one in searched.findings if one.id == "tuning/candidate")
    text = next(one for one in made.details if isinstance(one, Text)).text
    migration = update(folder, {"candidate": {"uri": text.split("uri: ")[1]}})
    counts = {}
    for name, params in AUDITS.items():
        evidence = catalog.run(migration, name, params)
        assert Status.ERROR not in {one.status for one in evidence.findings}, name
        counts[name] = asked.copy()
        asked.clear()
    assert counts == {"parity": ["legacy", "candidate"], "bias": [], "benchmark": []}
    # The same file under another name is the same model: found by what is in it.
    path = folder / text.split("uri: ")[1]
    shutil.copytree(path.parent, folder / "models" / "chosen")
    moved = update(folder, {"candidate": {"uri": f"models/chosen/{path.name}"}})
    catalog.run(moved, "bias", AUDITS["bias"])
    assert asked == []
