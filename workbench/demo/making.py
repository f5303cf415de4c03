"""The sample on disk: tables, legacy model, migration.yaml, and the truths."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.demo.portfolio import (
    CATEGORIES,
    FEATURES,
    KEY,
    NUMBERS,
    PERSONAL,
    PROTECTED,
    TARGET,
    TIME,
    Portfolio,
    Truths,
    make_portfolio,
)
from workbench.evidence import Limit
from workbench.migration import FILE, Data, Migration, MigrationError, ModelSource, Problem, Roles, Task, write

if TYPE_CHECKING:
    import pandas as pd

FILES = {"train": "data/train.parquet", "holdout": "data/holdout.csv", "production": "data/production.parquet"}
MODEL = "models/legacy.joblib"


def make_demo(
    folder: Path,
    clean: bool = False,
    seed: int = 0,
    *,
    limits: Mapping[str, Limit] | None = None,
    titles: Mapping[str, str] | None = None,
    force: bool = False,
) -> Truths:
    """Writes the sample into `folder`: data/, models/, migration.yaml, truths.json, README.txt.

    The same seed gives the same rows and the same model. limits, titles: the audits' defaults, as `write` takes them.
    Raises MigrationError where the folder holds a migration already, unless `force`.
    """
    folder = Path(folder)
    if (folder / FILE).exists() and not force:
        advice = "there is a migration here already: give another folder, or overwrite it with --force"
        raise MigrationError([Problem(0, "", advice, str(folder / FILE))])
    portfolio = make_portfolio(clean, seed)
    _save_tables(portfolio, folder)
    _save_model(portfolio.tables["train"], folder / MODEL, seed)
    truths = Truths(clean=clean, seed=seed, planted=tuple(portfolio.planted))
    (folder / "truths.json").write_text(truths.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / "README.txt").write_text(_README, encoding="utf-8")
    write(folder, _migration(clean, limits or {}), _WHY, titles, force=force)
    return truths


def read_truths(folder: Path) -> Truths:
    """The truths of a sample made before."""
    return Truths.model_validate(json.loads((Path(folder) / "truths.json").read_text(encoding="utf-8")))


def _save_tables(portfolio: Portfolio, folder: Path) -> None:
    for name, file in FILES.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        frame = portfolio.tables[name]
        if path.suffix == ".csv":
            frame.to_csv(path, index=False, lineterminator="\n")
        else:
            frame.to_parquet(path, index=False, compression="zstd")


def _save_model(train: pd.DataFrame, path: Path, seed: int) -> None:
    import joblib

    path.parent.mkdir(parents=True, exist_ok=True)
    model = _pipeline(seed).fit(train[list(FEATURES)], train[TARGET])
    joblib.dump(model, path, compress=("zlib", 6))


def _pipeline(seed: int) -> Any:
    """As a bank's data scientist would have written it: no class or function of our own, so it opens anywhere."""
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan)
    one_hot = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    )
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer(
        [
            ("codes", ordinal, list(CATEGORIES[:2])),
            ("dummies", one_hot, list(CATEGORIES[2:])),
            ("scaled", scaled, ["years_employed"]),
            ("as_is", "passthrough", [name for name in NUMBERS if name != "years_employed"]),
        ]
    )
    boosting = HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=15, learning_rate=0.08, categorical_features=[0, 1], random_state=seed
    )
    boosting.set_params(early_stopping=False)
    return make_pipeline(columns, boosting)


def _migration(clean: bool, limits: Mapping[str, Limit]) -> Migration:
    return Migration(
        name="lending-clean" if clean else "lending",
        data=Data(holdout=FILES["holdout"], train=FILES["train"], production=FILES["production"]),
        legacy=ModelSource(uri=MODEL),
        task=Task(kind="binary", target=TARGET, positive=1),
        roles=Roles(protected=PROTECTED, key=(KEY,), time=TIME, personal=() if clean else PERSONAL),
        limits=dict(limits),
    )


_WHY = {
    "data": "A synthetic sample, made up by `workbench demo`, about no real person. truths.json: what is wrong in it.",
    "legacy": "a scikit-learn pipeline: imputers, encoders and a histogram gradient boosting, saved with joblib",
    "task.target": "1 where the loan was paid back",
    "task.positive": "a loan is granted to those who are expected to repay",
    "roles.protected": "the model does not read them",
    "roles.personal": "the model does not need them",
}

_README = """\
SYNTHETIC DATA. Everything here was made up by `workbench demo`; no row is about a real person, bank or loan.

data/train.parquet        20,000 applications the legacy model was trained on
data/holdout.csv          10,000 applications both models are judged on
data/production.parquet   10,000 applications of the following half year, outcome not known yet
models/legacy.joblib      the legacy model: a scikit-learn pipeline that says who will repay
migration.yaml            what is moved, and what counts as safe
truths.json               every fault that was planted on purpose: what the audits must find (none in the clean twin)
"""
