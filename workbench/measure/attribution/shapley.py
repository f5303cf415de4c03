"""Shapley values of any model's answer to raw columns, by the shap library.

Interventional Shapley values (Lundberg and Lee 2017; Janzing et al. 2020): a column outside a coalition takes the
values it has in the background rows. shap sees columns as codes, so text, dates and missing values are columns
like any other; rows are decoded before the model is asked.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.models import Label, Model, Outputs

Space = Literal["log-odds", "value", "decision"]
Floats = NDArray[np.float64]
Codes = NDArray[np.int32]
Method = Literal["auto", "exact", "permutation"]
Ask = Callable[[pd.DataFrame], Floats]

CLIP = 1e-6
"""Probabilities are kept this far from 0 and 1 before the log-odds are taken, which bounds them by 13.8."""

CALL = 50_000
"""Rows in one call of the model: large, because a model in its own process pays per call; bounded, for its memory."""

PLANNED = 20_000_000
"""Cells of what-if rows held at once; more rows are explained in turns."""

MOST_EXACT = 14


class UnansweredError(ValueError):
    """A model that gave no number for what-if rows. share: of the distinct rows asked; asked: how many those were."""

    def __init__(self, share: float, asked: int) -> None:
        super().__init__(
            f"the model gave no number for {share:.1%} of {asked} what-if rows: it cannot be explained on them; "
            "see which column mixes it refuses, or leave such rows out of the background"
        )
        self.share = share
        self.asked = asked


@dataclass(frozen=True)
class Attributions:
    """Why n answers are as they are.

    values: float64 [n, M], one per feature, in units of `space`. base: float64 [n], mean answer over the background
    (one value, unless the explained class differs by row). output: float64 [n], the model's own answers, asked apart.
    space: "log-odds" of P(positive) clipped by CLIP, "value" of a regression, or the 0/1 "decision" of a model that
    gives no score. evaluations: distinct what-if rows the model answered.
    """

    features: tuple[str, ...]
    values: Floats
    base: Floats
    output: Floats
    space: Space
    method: Literal["exact", "permutation"]
    background: int
    evaluations: int

    @property
    def additivity_error(self) -> float:
        """Largest |sum of attributions + base - the model's own output|, in units of `space`."""
        return float(np.abs(self.values.sum(axis=1) + self.base - self.output).max(initial=0.0))


def attribute(
    model: Model,
    rows: pd.DataFrame,
    background: pd.DataFrame | None = None,
    *,
    features: Sequence[str] = (),
    space: Space | None = None,
    explained: Sequence[Label] | None = None,
    masks: int = 128,
    method: Method = "auto",
    seed: int = 0,
) -> Attributions:
    """Shapley values [n, M] of `model` for `rows` against `background`, on raw columns.

    background: rows an absent column takes its values from; by default a seeded sample of at most 100 of `rows`.
    features: columns to explain, by default the model's inputs (all columns if it does not say). space: by default
    `space_of(model)`. explained: the class to explain, one label per row or one for all; by default the second class
    of a binary model and each row's own answer of a multiclass one. masks: coalitions per row at most; exact Shapley
    values where 2^M <= masks, else antithetic permutations (exact up to second-order interactions), at least one.
    Two models called with equal arguments are asked about equal rows.

    Raises ValueError if there are no rows, no features or a column is missing; UnansweredError if an answer is not a
    number; ModelError from the model.
    """
    names = tuple(features) or tuple(column.name for column in model.inputs) or tuple(map(str, rows.columns))
    pool = sampled_rows(rows, 100, seed) if background is None else background
    _check(rows, pool, names)
    kept = list(names)
    around, own = model.predict(pool[kept]), model.predict(rows[kept])
    space = space or space_of(model, around)
    ask = _asker(model, space)
    classes = model.classes
    base, output = _numbers(around, space, classes), _numbers(own, space, classes)
    exact = _is_exact(method, len(names), masks)
    values, evaluations = _in_turns(rows[kept], pool[kept], ask, base.shape[1], exact, masks, seed)
    column = _explained(explained, model, output)
    at = np.arange(len(rows))
    return Attributions(
        features=names,
        values=values[at, :, column],
        base=base.mean(axis=0)[column],
        output=output[at, column],
        space=space,
        method="exact" if exact else "permutation",
        background=len(pool),
        evaluations=evaluations,
    )


def space_of(model: Model, outputs: Outputs) -> Space:
    """The space a model can be explained in, from some of its outputs."""
    if model.task == "regression":
        return "value"
    return "decision" if outputs.scores is None else "log-odds"


def sampled_rows(frame: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """At most n rows, seeded, in the frame's order."""
    if len(frame) <= n:
        return frame
    kept = np.random.default_rng(seed).choice(len(frame), size=n, replace=False)
    return frame.iloc[np.sort(kept)]


def _check(rows: pd.DataFrame, background: pd.DataFrame, names: tuple[str, ...]) -> None:
    if not len(rows) or not len(background):
        raise ValueError(f"nothing to explain: {len(rows)} rows against {len(background)} background rows")
    for what, frame in (("rows", rows), ("background", background)):
        missing = [name for name in names if name not in frame.columns]
        if missing:
            raise ValueError(f"the {what} lack {', '.join(missing[:5])}: give every column the model asks for")


def _numbers(outputs: Outputs, space: Space, classes: tuple[Label, ...]) -> Floats:
    """Answers as [n, k] numbers in `space`: k = 1 for regression, else one per class."""
    if space == "value":
        found = outputs.values
    elif space == "decision":
        labels = outputs.labels
        found = None if labels is None else np.stack([labels == label for label in classes], axis=1)
    else:
        found = outputs.scores
    if found is None:
        raise ValueError(f"the model gives no {space}: explain it in the space of what it answers")
    numbers = np.asarray(found, dtype=np.float64).reshape(len(outputs), -1)
    lost = np.isnan(numbers).any(axis=1) if space != "value" else ~np.isfinite(numbers).all(axis=1)
    if lost.any():
        raise UnansweredError(float(lost.mean()), len(numbers))
    return _log_odds(numbers) if space == "log-odds" else numbers


def _log_odds(probability: Floats) -> Floats:
    kept = np.clip(probability, CLIP, 1 - CLIP)
    return np.asarray(np.log(kept) - np.log1p(-kept), dtype=np.float64)


def _asker(model: Model, space: Space) -> Ask:
    def ask(frame: pd.DataFrame) -> Floats:
        parts = [frame.iloc[start : start + CALL] for start in range(0, len(frame), CALL)]
        return np.concatenate([_numbers(model.predict(part), space, model.classes) for part in parts])

    return ask


def _explained(explained: Sequence[Label] | None, model: Model, output: Floats) -> NDArray[np.intp]:
    """Which of the k outputs is explained, per row."""
    n, k = output.shape
    if k == 1:
        return np.zeros(n, dtype=np.intp)
    if explained is not None:
        places = [_place(label, model.classes) for label in explained]
        return np.broadcast_to(np.asarray(places, dtype=np.intp), (n,))
    return np.full(n, 1, dtype=np.intp) if k == 2 else output.argmax(axis=1)


def _place(label: Label, classes: tuple[Label, ...]) -> int:
    if label not in classes:
        raise ValueError(f"class {label!r} is not one the model knows: {', '.join(map(repr, classes[:10]))}")
    return classes.index(label)


def _is_exact(method: Method, features: int, masks: int) -> bool:
    if method == "exact" and features > MOST_EXACT:
        raise ValueError(f"exact values of {features} features need 2^{features} answers a row: use permutations")
    return method == "exact" or (method == "auto" and features <= MOST_EXACT and 2**features <= masks)


def _in_turns(
    rows: pd.DataFrame,
    background: pd.DataFrame,
    ask: Ask,
    outputs: int,
    exact: bool,
    masks: int,
    seed: int,
) -> tuple[Floats, int]:
    """Values [n, M, k] and the number of distinct rows asked, with bounded memory."""
    features = rows.shape[1]
    once = 2 * features + 1
    per_row = 2**features if exact else once * max(1, masks // once)
    turn = int(max(1, min(1_000, PLANNED // (per_row * len(background) * features))))
    values, asked = [], 0
    for number, start in enumerate(range(0, len(rows), turn)):
        part = rows.iloc[start : start + turn]
        codes, decode = _coded(part, background)
        explain = _shap(codes[: len(part)], codes[len(part) :], exact, per_row, seed + number)
        found, distinct = _ask_once(explain, partial(_decoded, ask, decode), outputs)
        values.append(found)
        asked += distinct
    return np.concatenate(values), asked


def _coded(rows: pd.DataFrame, background: pd.DataFrame) -> tuple[Codes, Callable[[Codes], pd.DataFrame]]:
    """Rows then background as codes [n, M], and the way back to raw columns of the same types."""
    both = pd.concat([rows, background], ignore_index=True)
    columns = [pd.factorize(both[name], use_na_sentinel=False) for name in both.columns]
    codes = np.stack([code for code, _ in columns], axis=1).astype(np.int32)

    def decode(wanted: Codes) -> pd.DataFrame:
        cells = {name: values.take(wanted[:, j]) for j, (name, (_, values)) in enumerate(zip(both.columns, columns))}
        return pd.DataFrame(cells).astype(both.dtypes.to_dict())

    return codes, decode


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
    distinct, place = _distinct(np.concatenate(questions))
    answers = ask(distinct)[place]
    turn = iter(np.split(answers, np.cumsum([len(question) for question in questions])[:-1]))
    heard = iter(questions)

    def reply(codes: Floats) -> Floats:
        if not np.array_equal(codes, next(heard)):
            raise RuntimeError("shap asked other rows the second time: this version of shap is not supported")
        return next(turn)

    return explain(reply), len(distinct)


def _distinct(codes: Codes) -> tuple[Codes, NDArray[np.intp]]:
    """Distinct rows and where each row is among them."""
    packed = np.ascontiguousarray(codes).view(np.dtype((np.void, codes.dtype.itemsize * codes.shape[1]))).ravel()
    _, first, place = np.unique(packed, return_index=True, return_inverse=True)
    return codes[first], place


def _shap(rows: Codes, background: Codes, exact: bool, evaluations: int, seed: int) -> Explain:
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
            plain: dict[str, Any] = {"link": _identity, "linearize_link": False}
            if exact:
                explainer = shap.explainers.Exact(answer, masker, **plain)
            else:
                explainer = shap.explainers.Permutation(answer, masker, seed=seed, **plain)
            found = explainer(rows[varies].astype(np.float64), max_evals=evaluations, silent=True)
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
