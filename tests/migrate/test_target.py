from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from columns_parity import same_columns
from lift_parity import check
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Categories of every type, and rows with missing and unseen ones."""
    rng = np.random.default_rng(10)
    n = 400
    train = pd.DataFrame(
        {
            "city": rng.choice(["Bonn", "Köln", "ulm", None], n),
            "kind": pd.Categorical(rng.choice(list("xyz"), n)),
            "code": rng.integers(0, 5, n),
            "share": rng.choice([1.5, 2.5, np.nan], n),
            "flag": rng.random(n) < 0.5,
        }
    )
    new = train.copy()
    new.loc[::3, "city"] = "Atlantis"
    new["kind"] = pd.Categorical(np.where(np.arange(n) % 5 == 0, "new", train.kind.astype(str)))
    new.loc[::4, "code"] = 99
    new.loc[::4, "share"] = 7.0
    return train, new


@pytest.mark.parametrize("columns", [["city"], ["kind"], ["code"], ["share"], ["flag"], None], ids=str)
@pytest.mark.parametrize("smooth", ["auto", 0.0, 20.0])
@pytest.mark.parametrize("target", ["binary", "multiclass", "continuous"])
def test_encodings_bit_by_bit(rows, target, smooth, columns):
    train, new = (frame[columns or list(frame)] for frame in rows)
    value = np.random.default_rng(11).normal(size=len(train))
    y = {"binary": value > 0, "multiclass": np.digitize(value, [-0.5, 0.5]), "continuous": value}[target]
    same_columns(TargetEncoder(smooth=smooth, target_type=target), train, new, y)


def test_a_category_seen_as_none_in_training(rows):
    train, _ = rows
    frame = pd.DataFrame({"city": train.city.astype(object).where(train.city.notna(), None)}, dtype=object)
    y = (np.arange(len(frame)) % 3 == 0).astype(int)
    check(make_pipeline(TargetEncoder(), LogisticRegression()).fit(frame, y), frame)


def test_beside_other_columns(rows):
    train, new = rows
    y = (np.arange(len(train)) % 3 == 0).astype(int)
    parts = ColumnTransformer([("text", TargetEncoder(cv=2), ["city", "kind"])], remainder="passthrough")
    train, new = train.fillna({"share": 0.0}), new.fillna({"share": 0.0})
    check(make_pipeline(parts, LogisticRegression()).fit(train, y), train, rows=new)
