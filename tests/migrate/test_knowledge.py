"""What the table says and what the lift does must be the same thing."""

from __future__ import annotations

import importlib
import inspect

import numpy as np
import pandas as pd
import pytest
from lift_parity import lifted
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from workbench.migrate.lift import PREDICTORS, TRANSFORMERS, CannotLift
from workbench.models.knowledge import LIFTS, known, table
from workbench.models.pieces import sklearn_piece
from workbench.models.protocol import Piece

CONVERTERS = {**TRANSFORMERS, **PREDICTORS}
ROWS = table()["pieces"]


def test_every_kind_said_to_lift_has_a_converter_and_the_other_way_round():
    said = {kind for kind, row in ROWS.items() if row["status"] in LIFTS} - {"torch.export"}
    assert said == set(CONVERTERS)


@pytest.mark.parametrize("kind", sorted(kind for kind in ROWS if kind.startswith("sklearn.")))
def test_every_kind_is_a_class_and_every_option_of_it_is_known(kind):
    if kind == "sklearn.impute.IterativeImputer":
        pytest.skip("experimental: scikit-learn shows it only on request")
    if "Halving" in kind:
        importlib.import_module("sklearn.experimental.enable_halving_search_cv")
    module, _, name = kind.rpartition(".")
    cls = getattr(importlib.import_module(module), name, None)
    if cls is None:
        pytest.skip(f"the installed scikit-learn has no {kind}")
    if ROWS[kind]["status"] in LIFTS:
        options = set(inspect.signature(cls.__init__).parameters) - {"self"}
        assert options <= set(ROWS[kind]["options"])


def test_rows_are_complete():
    for kind, row in ROWS.items():
        assert row["status"] in ("exact", "difference", "retrain", "aside"), kind
        assert 0 <= row["effort"] <= table()["unknown_effort"]
        if row["status"] in ("retrain", "difference"):
            assert len(row["advice"]) > 20, kind
        if row["status"] == "difference":
            assert len(row["note"]) > 20, kind


FRAME = pd.DataFrame({"a": np.arange(60.0), "b": np.arange(60.0) % 7})
TARGET = (np.arange(60) % 2).astype(int)
REFUSED = [
    make_pipeline(FunctionTransformer(lambda x: x + 1), LogisticRegression()),
    make_pipeline(FunctionTransformer(np.log1p, kw_args={"where": True}), LogisticRegression()),
    KNeighborsClassifier(weights=np.sqrt),
]


@pytest.mark.parametrize("model", REFUSED, ids=lambda model: str(model)[:60])
def test_needs_of_the_table_are_refusals_of_the_lift(model):
    model.fit(FRAME, TARGET)
    worst = [known(part).status for _, part in sklearn_piece(model).walk()]
    assert "retrain" in worst
    with pytest.raises(CannotLift):
        lifted(model, FRAME)


def test_a_stranger_a_closed_model_and_a_newer_version():
    assert known(Piece("acme.Net", "1", {}, {"w": np.ones(3)})).status == "unknown"
    assert known(Piece("python:pkg.mod:predict")).status == "closed"
    piece = sklearn_piece(LogisticRegression().fit(FRAME, TARGET))
    assert known(piece).status == "exact"
    newer = known(Piece(piece.kind, "2.3.0", piece.params, piece.arrays))
    assert newer.status == "difference"
    assert "newer than any that was tested" in newer.why
    strange = known(Piece(piece.kind, piece.version, {**piece.params, "twist": 1}, piece.arrays))
    assert strange.status == "unknown"
    assert "'twist'" in strange.why
