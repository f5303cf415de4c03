"""What a pickled model names and never needs to answer: scorers, metrics, distributions that a search drew from, the
masked columns of its results. They are read as names with nothing behind them: their own code is never imported.

scipy's distributions run text of their state when they are unpickled, so even the class alone would be code.
"""

from typing import Any

MODULES = frozenset(
    {
        "numpy.ma",
        "numpy.ma.core",
        "scipy.stats._continuous_distns",
        "scipy.stats._discrete_distns",
        "scipy.stats._distn_infrastructure",
        "sklearn.metrics._classification",
        "sklearn.metrics._ranking",
        "sklearn.metrics._regression",
        "sklearn.metrics._scorer",
        "sklearn.metrics.classification",
        "sklearn.metrics.cluster._supervised",
        "sklearn.metrics.cluster.supervised",
        "sklearn.metrics.ranking",
        "sklearn.metrics.regression",
        "sklearn.metrics.scorer",
    }
)
"""Modules whose names are never resolved."""

MADE = ("Scorer", "_gen", "_frozen", "rv_sample", "MaskedArray", "_mareconstruct")
"""How names end that a pickle makes objects of; any other is a function, only referred to."""

SECOND = frozenset(
    {
        "average_precision_score",
        "f1_score",
        "fbeta_score",
        "jaccard_score",
        "precision_recall_fscore_support",
        "precision_score",
        "recall_score",
    }
)
"""Metrics that take the class 1 as the positive one where nothing is said."""


class Called(Exception):  # noqa: N818
    """A stand-in was asked to do something."""


class Name:
    """A function's name; whoever calls it stops."""

    def __init__(self, module: str, name: str) -> None:
        self.__module__, self.__qualname__ = module, name

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise Called(f"the pickle calls {self.__module__}.{self.__qualname__}, which no model needs to answer")

    def __setstate__(self, _: Any) -> None:
        raise Called(f"the pickle changes {self.__module__}.{self.__qualname__}")


class Inert:
    """An object with a class's name and nothing of its code. Of its state only a scorer's plain options are kept."""

    def __new__(cls, *_: Any, **__: Any) -> "Inert":
        made: Any = object.__new__(cls)
        made.options, made.metric = {}, ""
        return made  # type: ignore[no-any-return]

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        state = state if isinstance(state, dict) else {}
        options, metric = state.get("_kwargs"), state.get("_score_func")
        if isinstance(options, dict):
            plain = (bool, int, float, str, type(None))
            self.options = {str(name): value for name, value in options.items() if isinstance(value, plain)}
        if isinstance(metric, Name):
            self.metric = metric.__qualname__

    def _get_pos_label(self) -> Any:
        """The class a threshold was tuned for, as scikit-learn's scorer says it; None for the second one."""
        return self.options.get("pos_label", 1 if self.metric in SECOND else None)


def stand_in(module: str, name: str) -> Any:
    """For a name of `MODULES`."""
    if not name.endswith(MADE):
        return Name(module, name)
    return type(name, (Inert,), {"__module__": module, "__qualname__": name})
