"""One small fitted model for each kind of piece, to see which of them become an ONNX file."""

from __future__ import annotations

import warnings
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn import (
    calibration,
    cluster,
    compose,
    decomposition,
    discriminant_analysis,
    dummy,
    ensemble,
    feature_selection,
    impute,
    isotonic,
    kernel_approximation,
    linear_model,
    model_selection,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    preprocessing,
    random_projection,
    svm,
    tree,
)  # fmt: skip
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

LOGISTIC = linear_model.LogisticRegression()

STEPS: tuple[Any, ...] = (
    preprocessing.Binarizer(), preprocessing.KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"),
    preprocessing.MaxAbsScaler(), preprocessing.MinMaxScaler(), preprocessing.Normalizer(),
    preprocessing.PolynomialFeatures(), preprocessing.PowerTransformer(),
    preprocessing.QuantileTransformer(n_quantiles=50),
    preprocessing.QuantileTransformer(n_quantiles=50, output_distribution="normal"), preprocessing.RobustScaler(),
    preprocessing.SplineTransformer(n_knots=3), preprocessing.StandardScaler(),
    preprocessing.FunctionTransformer(np.log1p),
    impute.SimpleImputer(add_indicator=True), impute.MissingIndicator(features="all"), impute.KNNImputer(),
    decomposition.PCA(2), decomposition.TruncatedSVD(2), decomposition.FastICA(2, random_state=0),
    decomposition.FactorAnalysis(2), feature_selection.SelectKBest(k=2), feature_selection.VarianceThreshold(),
    kernel_approximation.Nystroem(n_components=5, random_state=0),
    kernel_approximation.RBFSampler(n_components=5, random_state=0),
    random_projection.GaussianRandomProjection(2, random_state=0),
)  # fmt: skip

CLASSIFIERS: tuple[Any, ...] = (
    LOGISTIC, linear_model.SGDClassifier(loss="log_loss", random_state=0), linear_model.RidgeClassifier(),
    linear_model.Perceptron(), discriminant_analysis.LinearDiscriminantAnalysis(),
    discriminant_analysis.QuadraticDiscriminantAnalysis(), svm.LinearSVC(), svm.SVC(probability=False),
    neighbors.KNeighborsClassifier(5), neighbors.NearestCentroid(), naive_bayes.GaussianNB(),
    naive_bayes.BernoulliNB(), naive_bayes.MultinomialNB(), naive_bayes.ComplementNB(),
    neural_network.MLPClassifier(hidden_layer_sizes=(4,), max_iter=30, random_state=0), dummy.DummyClassifier(),
    tree.DecisionTreeClassifier(max_depth=4), tree.ExtraTreeClassifier(max_depth=4, random_state=0),
    ensemble.RandomForestClassifier(4, max_depth=4, random_state=0),
    ensemble.ExtraTreesClassifier(4, max_depth=4, random_state=0),
    ensemble.GradientBoostingClassifier(n_estimators=4), ensemble.HistGradientBoostingClassifier(max_iter=4),
    ensemble.AdaBoostClassifier(n_estimators=3), ensemble.BaggingClassifier(LOGISTIC, 3, random_state=0),
    ensemble.VotingClassifier([("a", LOGISTIC), ("b", naive_bayes.GaussianNB())], voting="soft"),
    ensemble.StackingClassifier([("a", LOGISTIC), ("b", naive_bayes.GaussianNB())], cv=2),
    calibration.CalibratedClassifierCV(LOGISTIC, cv=2),
    calibration.CalibratedClassifierCV(LOGISTIC, method="isotonic", cv=2),
    model_selection.FixedThresholdClassifier(LOGISTIC, threshold=0.4), multiclass.OneVsRestClassifier(LOGISTIC),
    multiclass.OneVsOneClassifier(LOGISTIC), xgboost.XGBClassifier(n_estimators=3, max_depth=3, n_jobs=1),
    lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1),
)  # fmt: skip

REGRESSORS: tuple[Any, ...] = (
    linear_model.LinearRegression(), linear_model.Ridge(), linear_model.Lasso(), linear_model.PoissonRegressor(),
    linear_model.HuberRegressor(), svm.SVR(), svm.LinearSVR(), neighbors.KNeighborsRegressor(5),
    neural_network.MLPRegressor(hidden_layer_sizes=(4,), max_iter=30, random_state=0), dummy.DummyRegressor(),
    tree.DecisionTreeRegressor(max_depth=4), ensemble.RandomForestRegressor(4, max_depth=4, random_state=0),
    ensemble.GradientBoostingRegressor(n_estimators=4), ensemble.HistGradientBoostingRegressor(max_iter=4),
    ensemble.AdaBoostRegressor(n_estimators=3, random_state=0),
    ensemble.BaggingRegressor(n_estimators=3, random_state=0),
    compose.TransformedTargetRegressor(linear_model.Ridge(), func=np.log1p, inverse_func=np.expm1),
    xgboost.XGBRegressor(n_estimators=3, max_depth=3, n_jobs=1),
    lightgbm.LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1),
)  # fmt: skip
OTHERS: tuple[Any, ...] = (isotonic.IsotonicRegression(out_of_bounds="clip"),)
TEXTS: tuple[Any, ...] = (
    preprocessing.OneHotEncoder(handle_unknown="ignore"),
    preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    preprocessing.TargetEncoder(random_state=0),
    make_pipeline(impute.SimpleImputer(strategy="most_frequent"), preprocessing.OneHotEncoder(handle_unknown="ignore")),
)


def fitted() -> list[tuple[Any, pd.DataFrame]]:
    """Models and the rows they were fitted on."""
    rng = np.random.default_rng(1)
    numbers = pd.DataFrame(rng.gamma(2.0, 2.0, (160, 3)), columns=list("abc"))
    texts = pd.DataFrame({"city": rng.choice(["Bonn", "Ulm", "Köln"], 160), "a": numbers.a})
    label = (numbers.a + numbers.b + (texts.city == "Ulm") > 9).astype(int)
    value = numbers.a * 2 + numbers.b + 0.1
    made: list[tuple[Any, pd.DataFrame]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in STEPS:
            made.append((make_pipeline(clone(step), linear_model.Ridge()).fit(numbers, value), numbers))
        made += [(clone(model).fit(numbers, label), numbers) for model in CLASSIFIERS]
        made += [(clone(model).fit(numbers, value), numbers) for model in REGRESSORS]
        made += [(clone(model).fit(numbers[["a"]], value), numbers[["a"]]) for model in OTHERS]
        for step in TEXTS:
            columns = compose.make_column_transformer((step, ["city"]), (preprocessing.StandardScaler(), ["a"]))
            made.append((make_pipeline(columns, clone(LOGISTIC)).fit(texts, label), texts))
        made.append(
            (make_pipeline(cluster.KMeans(3, random_state=0), linear_model.Ridge()).fit(numbers, value), numbers)
        )
    return made
