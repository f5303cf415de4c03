"""woodelf, run by a process in an environment of its own."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from benchmarks.guest import serve, timed

warnings.filterwarnings("ignore")
_open: dict[str, Any] = {}


def open_model(file: str, background: str, rows: str) -> dict[str, Any]:
    """An XGBoost model, its background and the rows to explain, both .npy."""
    import pandas as pd
    import xgboost
    from woodelf import WoodelfExplainer  # type: ignore[import-not-found]

    booster = xgboost.Booster(model_file=file)
    names = list(booster.feature_names or [])
    around = pd.DataFrame(np.load(background), columns=names)
    _open.update(explainer=WoodelfExplainer(booster, around), X=pd.DataFrame(np.load(rows), columns=names))
    return {}


def answer(to: str) -> dict[str, Any]:
    """Attributions [n, M], written to a .npy file."""
    np.save(to, np.asarray(_open["explainer"].shap_values(_open["X"])))
    return {}


def time(calls: int) -> dict[str, Any]:
    wall, cpu = timed(lambda: _open["explainer"].shap_values(_open["X"]), calls)
    return {"wall": wall, "cpu": cpu}


if __name__ == "__main__":
    serve({"open": open_model, "answer": answer, "time": time})
