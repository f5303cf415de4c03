from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from columns_parity import same_columns
from lift_parity import check, lifted
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA, FactorAnalysis, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from workbench.migrate.lift import CannotLift, lift_piece
from workbench.models.knowledge import known
from workbench.models.pieces import sklearn_piece
from workbench.models.sklearn_inputs import asked


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(12)
    frame = pd.DataFrame(rng.normal(size=(400, 5)), columns=list("abcde"))
    return frame.assign(b=frame.a + frame.b / 3, c=frame.c.abs())


PROJECTIONS = [
    PCA(2),
    PCA(3, whiten=True),
    IncrementalPCA(2),
    IncrementalPCA(2, whiten=True),
    TruncatedSVD(2, random_state=0),
    FastICA(3, random_state=0),
    FastICA(3, random_state=0, whiten="arbitrary-variance"),
    FastICA(whiten=False, random_state=0),
    FactorAnalysis(2),
    GaussianRandomProjection(3, random_state=0),
    SparseRandomProjection(3, random_state=0),
    SparseRandomProjection(3, random_state=0, dense_output=True),
    RBFSampler(n_components=20, random_state=0),
    KMeans(4, n_init=1, random_state=0),
    MiniBatchKMeans(4, n_init=1, random_state=0),
]
SIMILAR = [
    Nystroem(kernel, n_components=15, random_state=0) for kernel in ("rbf", "laplacian", "linear", "poly", "sigmoid")
]
SIMILAR += [Nystroem("rbf", gamma=0.3, n_components=15), Nystroem("poly", gamma=0.2, coef0=2, degree=2, n_components=9)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("step", PROJECTIONS, ids=lambda one: str(one)[:60])
def test_projections_agree_to_the_bound_they_are_known_by(step, rows):
    assert known(sklearn_piece(step.fit(rows))).status == "difference"
    same_columns(step, rows, rows * 1.5, rtol=1e-12)


@pytest.mark.parametrize("step", [*SIMILAR, Nystroem("cosine", n_components=15, random_state=0)], ids=str)
def test_kernel_maps_agree_to_the_bound_they_are_known_by(step, rows):
    assert known(sklearn_piece(step.fit(rows))).status == "difference"
    same_columns(step, rows, rows * 1.5, rtol=1e-9)


def test_a_kernel_that_is_code_is_refused_as_the_table_says(rows):
    y = (rows.a > 0).astype(int)
    for kernel in (_dot, "chi2"):
        model = make_pipeline(Nystroem(kernel, n_components=5), LogisticRegression()).fit(rows.abs(), y)
        assert known(sklearn_piece(model).children[0][1]).status == "retrain"
        with pytest.raises(CannotLift, match="has no torch form"):
            lifted(model, rows)


def _dot(x, y):
    return x @ y


def test_before_a_classifier(rows):
    y = (rows.a + rows.c > 0.7).astype(int)
    for step in (KMeans(4, n_init=1, random_state=0), RBFSampler(random_state=0), SIMILAR[0]):
        check(make_pipeline(StandardScaler(), step, LogisticRegression()).fit(rows, y), rows, atol=1e-9)


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
def test_clusters_as_labels(kind, count, rows):
    pipeline = make_pipeline(StandardScaler(), kind(count, n_init=1, random_state=0)).fit(rows)
    piece, task = sklearn_piece(pipeline), "binary" if count == 2 else "multiclass"
    lift = lift_piece(piece, asked(piece, list(rows)).inputs, tuple(range(count)), task)
    far = pd.concat([rows, rows * 40, rows.astype({"a": np.float32})])
    for part in (far, far.iloc[:1]):
        found = lift.predict(part)
        assert found.scores is None
        assert (found.labels == pipeline.predict(part)).all()
    assert len(lift.predict(far.iloc[:0])) == 0


def test_a_row_that_is_missing_belongs_to_no_cluster(rows):
    piece = sklearn_piece(KMeans(3, n_init=1, random_state=0).fit(rows))
    lift = lift_piece(piece, asked(piece, list(rows)).inputs, (0, 1, 2), "multiclass")
    assert lift.predict(rows.assign(a=np.nan)).labels[0] is None
