"""The table of what becomes an ONNX file is what the export does; this file run by Python fills it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from lift_parity import lifted
from onnx_zoo import fitted

from workbench.migrate.export import coverage, to_onnx
from workbench.migrate.lift import CannotLift
from workbench.models.pieces import sklearn_piece

pytest.importorskip("onnxruntime")


def seen(folder: Path) -> dict[str, str]:
    """By kind of piece: "" where a model with it was written, else why the one model that has it was not."""
    found: dict[str, str] = {}
    for model, rows in fitted():
        reason = _became(model, rows, folder)
        kinds = sorted({piece.kind for _, piece in sklearn_piece(model).walk()})
        for kind in kinds if reason == "" else [kind for kind in kinds if kind not in found]:
            if reason is not None:
                found[kind] = "" if found.get(kind) == "" else reason
    return dict(sorted(found.items()))


def _became(model: Any, rows: Any, folder: Path) -> str | None:
    """None for a model that does not lift."""
    try:
        return to_onnx(lifted(model, rows), folder / "m.onnx").reason
    except CannotLift:
        return None


def test_the_page_is_made_from_the_table() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "onnx.md"
    assert page.read_text("utf-8") == coverage.page()


@pytest.mark.slow
def test_the_table_is_what_the_export_does(tmp_path: Path) -> None:
    assert seen(tmp_path) == json.loads(coverage.PIECES.read_text("utf-8"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        coverage.PIECES.write_text(json.dumps(seen(Path(temporary)), indent=1, ensure_ascii=False) + "\n", "utf-8")
