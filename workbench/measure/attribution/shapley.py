"""Shapley values of any model's answer to raw columns from all coalitions, by the shap library.

Interventional Shapley values (Lundberg and Lee 2017; Janzing et al. 2020): a column outside a coalition takes the
values it has in the background rows. shap sees columns as codes, so text, dates and missing values are columns
like any other; rows are decoded before the model is asked.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from workbench.measure.attribution.basics import Ask, Codes, Floats, Rows, Space, asker, distinct
from workbench.models import Model

PLANNED = 20_000_000
"""Cells of what-if rows held at once; more rows are explained in turns."""

MOST_EXACT = 14


def takes_all(method: str, features: int, masks: int) -> bool:
    """Whether every coalition is asked about. Raises ValueError where they would be too many."""
    if method == "exact" and features > MOST_EXACT:
        raise ValueError(f"exact values of {features} features need 2^{features} answers a row: use permutations")
    return method == "exact" or (method == "auto" and features <= MOST_EXACT and 2**features <= masks)


def every_coalition(
    model: Model, rows: pd.DataFrame, background: pd.DataFrame, space: Space, outputs: int
) -> tuple[Floats, int]:
    """Values [n, M, k] of the rows, and how many distinct what-if rows were asked, in turns of bounded memory."""
    ask = asker(model, space)
    features = rows.shape[1]
    turn = int(max(1, min(1_000, PLANNED // (2**features * len(background) * features))))
    values, asked = [], 0
    for start in range(0, len(rows), turn):
        part = rows.iloc[start : start + turn]
        both = Rows(pd.concat([part, background], ignore_index=True))
        explain = _shap(both.codes[: len(part)], both.codes[len(part) :])
        found, many = _ask_once(explain, partial(_decoded, ask, both.frame), outputs)
        values.append(found)
        asked += many
    return np.concatenate(values), asked


def _decoded(ask: Ask, decode: Callable[[Codes], pd.DataFrame], wanted: Codes) -> Floats:
    return ask(decode(wanted))


Explain = Callable[[Callable[[Floats], Floats]], Floats]


def _ask_once(explain: Explain, ask: Callable[[Codes], Floats], outputs: int) -> tuple[Floats, int]:
    """Run an explainer twice: first only to hear what it asks, then with all answers at hand.

    shap asks row by row; a model in its own process is far faster in one call, and most what-if rows recur.
    """
    questions: list[Codes] = []

    def hear(codes: Floats) -> Floats:
        questions.append(codes.astype(np.int32))
        return np.zeros((len(codes), outputs))

    explain(hear)
    given, place = distinct(np.concatenate(questions))
    answers = ask(given)[place]
    turn = iter(np.split(answers, np.cumsum([len(question) for question in questions])[:-1]))
    heard = iter(questions)

    def reply(codes: Floats) -> Floats:
        if not np.array_equal(codes, next(heard)):
            raise RuntimeError("shap asked other rows the second time: this version of shap is not supported")
        return next(turn)

    return explain(reply), len(given)


def _shap(rows: Codes, background: Codes) -> Explain:
    """shap's explainer on codes, as a function of the function it explains."""

    # Where a row equals all of the background nothing can be exchanged: its values are 0, which shap cannot say.
    varies = (rows != background[0]).any(axis=1) | (background != background[0]).any()

    def explain(answer: Callable[[Floats], Floats]) -> Floats:
        if not varies.any():
            outputs = answer(background[:1].astype(np.float64)).reshape(1, -1).shape[1]
            return np.zeros((*rows.shape, outputs))
        with _quiet(), _plain_loops(), _random_state_kept():
            import shap

            # Without max_samples shap silently keeps 100 rows of the background.
            masker = shap.maskers.Independent(background.astype(np.float64), max_samples=len(background))
            explainer = shap.explainers.Exact(answer, masker, link=_identity, linearize_link=False)
            found = explainer(rows[varies].astype(np.float64), max_evals=2 ** rows.shape[1], silent=True)
        # shap drops the last axis of a single output.
        values = np.asarray(found.values, dtype=np.float64).reshape(int(varies.sum()), rows.shape[1], -1)
        whole = np.zeros((*rows.shape, values.shape[2]))
        whole[varies] = values
        return whole

    return explain


def _identity(value: Any) -> Any:
    return value


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings, log lines or progress bars of shap and numba in a notebook."""
    loggers = [logging.getLogger(name) for name in ("shap", "numba")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """shap seeds numpy's global generator; the caller's stream goes on as if it had not."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)


@contextmanager
def _plain_loops() -> Iterator[None]:
    """shap's loops as plain Python: numba compiles them for 10 s where they run for 0.1 s."""
    import sys

    import shap
    from numba.core.registry import CPUDispatcher

    modules = [module for name, module in list(sys.modules.items()) if name.startswith(f"{shap.__name__}.")]
    compiled = [
        (module, name, value)
        for module in modules
        for name, value in list(vars(module).items())
        if issubclass(type(value), CPUDispatcher)
    ]
    try:
        for module, name, value in compiled:
            setattr(module, name, value.py_func)
        yield
    finally:
        for module, name, value in compiled:
            setattr(module, name, value)
