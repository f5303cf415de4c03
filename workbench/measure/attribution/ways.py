"""Exact ways to a model's Shapley values on raw columns, each open only to a model that shows it can take it.

Trees: every column that the trees read must be made of one raw column, so that a what-if row's matrix is put together
from the matrices of the rows it mixes. Additive: the answer must be a sum of functions of single columns, whose
Shapley values are their distances from the background's mean. Both are found by asking, and held against what the
model itself answers to random mixes of the very rows that are explained; a model that fails is told why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from workbench.measure.attribution.basics import (
    FINE,
    Codes,
    Floats,
    Ints,
    Method,
    Rows,
    Space,
    UnansweredError,
    asker,
    space_of,
    unit,
)
from workbench.models import Model, ModelError, Outputs
from workbench.models.inside import Sight, look, trees_of

OFF = 1e-4
"""How far sums may be from the model's own margin, or as a share of the largest one: XGBoost adds in float32."""
ALIKE = 1e-6
"""How far a link may be from the model's own probabilities, some of which are float32."""
MIXES = 2_000
CELLS = 20_000_000
"""Numbers of a matrix asked for at once."""


class InexactError(ValueError):
    """Exact values are not to be had in this way, and why."""


class TreeWay:
    """Used rows [N] of a model that ends in a tree ensemble. own: float64 [N, k], its own answers in `space`.

    Raises InexactError, where a model is not what this needs; ModelError, where it does not answer.
    """

    method: Method = "trees"

    def __init__(self, model: Model, used: pd.DataFrame, seed: int) -> None:
        self.trees = _closed(lambda: trees_of(model))
        if not np.isfinite(self.trees.value).all():
            raise InexactError("a leaf of its trees has no value: rows that end there have no answer")
        self.features = used.shape[1]
        self._model, self._rows, self._rng = model, Rows(used), np.random.default_rng(seed)
        sight = _closed(lambda: look(model, used))
        self.matrix, self.evaluations = sight.matrix, len(used)
        raw = self._held(sight.matrix, sight.margin)
        self.space, self._turned = answered_in(raw, model.predict(used), self.trees.link_scale)
        self.own: Floats = sight.margin @ self._turned
        self.owner = self._owners(tuple(map(str, used.columns)))

    def values(self, rows: NDArray[np.intp], background: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Values [n, M, k] and base [k] of some of the used rows against others."""
        engine = self._engine(background)
        found = np.zeros((len(rows), self.features, self.trees.n_outputs))
        found[:, : engine.shape[0]] = engine.values(self.matrix[rows])
        return found @ self._turned, engine.base @ self._turned

    def interactions(self, rows: NDArray[np.intp], background: NDArray[np.intp]) -> Floats:
        """Interaction values [n, M, M, k]. Raises InexactError for trees too deep for them."""
        engine = self._engine(background)
        players = engine.shape[0]
        found = np.zeros((len(rows), self.features, self.features, self.trees.n_outputs))
        try:
            found[:, :players, :players] = engine.interactions(self.matrix[rows])
        except ValueError as error:
            raise InexactError(str(error)) from error
        pairs: Floats = found @ self._turned
        return pairs

    def _engine(self, background: NDArray[np.intp]) -> Any:
        from workbench.measure.attribution.exact import TreeShapley

        return TreeShapley(self.trees, self.matrix[background], players=np.maximum(self.owner, 0).tolist())

    def _held(self, matrix: Floats, margin: Floats) -> Floats:
        """The trees' sums, which must be the model's own."""
        if matrix.shape[1] != len(self.trees.features):
            raise InexactError(f"its trees read {len(self.trees.features)} columns, and {matrix.shape[1]} reach them")
        raw = self.trees.raw(matrix)
        if raw.shape != margin.shape:
            raise InexactError(f"its trees give {raw.shape[1]} sums, and it answers {margin.shape[1]}")
        off = float(np.abs(raw - margin).max(initial=0.0))
        if not off <= OFF * unit(raw):
            raise InexactError(f"its trees' sums are up to {off:.2g} from its own: there is more to it than trees")
        found: Floats = raw
        return found

    def _owners(self, names: tuple[str, ...]) -> Ints:
        """The raw column that each of the trees' columns is made of, -1 where it never changes."""
        if set(self.trees.features) <= set(names):
            named = np.array([names.index(feature) for feature in self.trees.features], dtype=np.int64)
            try:
                self._hold_mixes(named)
                return named
            except InexactError:
                pass  # a step before the trees may keep the names and change the order
        found = self._seen_changing()
        self._hold_mixes(found)
        return found

    def _see(self, codes: Codes) -> Sight:
        self.evaluations += len(codes)
        seen: Sight = _closed(lambda: look(self._model, self._rows.frame(codes)))
        return seen

    def _seen_changing(self) -> Ints:
        """By what changes where one raw column alone takes the values it has in other rows."""
        codes, owner = self._rows.codes, np.full(self.matrix.shape[1], -1, dtype=np.int64)
        many = max(2, min(64, CELLS // (codes.shape[1] * max(self.matrix.shape[1], codes.shape[1]))))
        here = int(self._rng.integers(len(codes)))
        asked = [self._values(column, many) for column in range(codes.shape[1])]
        column = np.repeat(np.arange(len(asked)), [len(values) for values in asked])
        mixed = np.repeat(codes[here : here + 1], len(column), axis=0)
        mixed[np.arange(len(column)), column] = np.concatenate(asked)
        self._give(owner, mixed, column, np.full(len(column), here))
        # What a rare value alone changes: ask with a row that has it.
        left = np.flatnonzero((owner < 0) & _differ(self.matrix, self.matrix[:1]).any(axis=0))
        if len(left) * codes.shape[1] * self.matrix.shape[1] > 10 * CELLS:
            raise InexactError(f"{len(left)} of the columns its trees read change with values that are too rare")
        for place in left:
            there = int(np.flatnonzero(_differ(self.matrix[:, place], self.matrix[0, place]))[0])
            mixed = np.repeat(codes[:1], codes.shape[1], axis=0)
            np.fill_diagonal(mixed, codes[there])
            self._give(owner, mixed, np.arange(codes.shape[1]), np.zeros(codes.shape[1], dtype=np.int64))
        return owner

    def _values(self, column: int, many: int) -> Codes:
        """All of few values of a column, else some, the first and last in order among them."""
        distinct = np.unique(self._rows.codes[:, column])
        return distinct if len(distinct) <= 4 * many else self._rng.choice(distinct, many, replace=False)

    def _give(self, owner: Ints, mixed: Codes, column: Ints, of: Ints) -> None:
        changed = _differ(self._see(mixed).matrix, self.matrix[of])
        for row, place in zip(*np.nonzero(changed)):
            if owner[place] not in (-1, column[row]):
                names = sorted((self._rows.names[owner[place]], self._rows.names[column[row]]))
                raise InexactError(f"its trees read a column made of several raw ones ({' and '.join(names)})")
            owner[place] = column[row]

    def _hold_mixes(self, owner: Ints) -> None:
        """Random mixes of two rows each: the matrix must be put together as said, and its sums be the model's own."""
        codes = self._rows.codes
        count = max(100, min(MIXES, CELLS // max(self.matrix.shape)))
        one, two = self._rng.integers(0, len(codes), (2, count))
        mine = self._rng.random((count, codes.shape[1])) < self._rng.random((count, 1))
        seen = self._see(np.where(mine, codes[one], codes[two]))
        taken = np.where(mine[:, np.maximum(owner, 0)], self.matrix[one], self.matrix[two])
        wrong = np.atleast_1d(_differ(seen.matrix, taken).any(axis=0))
        if wrong.any():
            raise InexactError(
                f"{wrong.sum()} of the {len(wrong)} columns its trees read are not each made of one raw column"
            )
        self._held(taken, seen.margin)


def _differ(first: Floats, second: Floats) -> NDArray[np.bool_]:
    return ~np.isclose(first, second, rtol=1e-12, atol=0.0, equal_nan=True)


def _closed(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except ModelError as error:
        raise InexactError(str(error)) from error


def answered_in(raw: Floats, outputs: Outputs, scale: float = 1.0) -> tuple[Space, Floats]:
    """The space in which sums [n, K] are the model's answers, and the matrix [K, k] that turns sums into it.

    Found by holding each link against the answers. Raises InexactError where none fits.
    """
    one, many = np.eye(1), raw.shape[1]
    if outputs.values is not None and many == 1:
        for space, values in (("value", raw[:, 0]), ("margin", np.exp(np.minimum(raw[:, 0], 700.0)))):
            if np.allclose(values, outputs.values, rtol=ALIKE, atol=ALIKE * unit(values) if space == "value" else 0.0):
                return space, one  # type: ignore[return-value]
    scores = outputs.scores
    if scores is not None and many == scores.shape[1]:
        if _near(raw, scores):
            return "probability", np.eye(many)
        if _near(_softmax(raw), scores):
            turned = np.array([[1.0, -1.0], [-1.0, 1.0]]) if many == 2 else np.eye(many) - 1 / many
            return ("log-odds" if many == 2 else "margin"), turned
    if scores is not None and many == 1 and scores.shape[1] == 2:
        for factor in (scale, 1.0, _slope(raw[:, 0], scores[:, 1])):
            if _near(expit(factor * raw[:, 0]), scores[:, 1]):
                return "log-odds", np.array([[-factor, factor]])
    raise InexactError("its answers are no known function of its trees' sums")


def _near(first: Floats, second: Floats) -> bool:
    return bool((np.abs(first - second) <= ALIKE).all())


def _softmax(raw: Floats) -> Floats:
    powers = np.exp(raw - raw.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _slope(raw: Floats, chance: Floats) -> float:
    """Log-odds per unit of raw, from the rows where they are told best."""
    sure = np.argsort(-(chance * (1 - chance)) * (raw != 0), kind="stable")[:100]
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.median(logit(chance[sure]) / raw[sure]))


class AdditiveWay:
    """Used rows of a model whose answer is a sum over its columns: linear, whatever prepares each column, and such.

    most: rows that may be asked about. Raises InexactError, UnansweredError, ModelError.
    """

    method: Method = "additive"

    def __init__(self, model: Model, used: pd.DataFrame, space: Space, most: int, seed: int) -> None:
        if space == "decision":
            raise InexactError("it only decides")
        self.space, self._model, self._rows, self.evaluations = space, model, Rows(used), 0
        self._hold_pairs(np.random.default_rng(seed))
        codes = self._rows.codes
        counts = [self._rows.distinct(column) for column in range(codes.shape[1])]
        if sum(counts) > most:
            raise InexactError(f"its columns have {sum(counts):,} values, more than the {most:,} what-if rows allowed")
        mixed = np.repeat(codes[:1], sum(counts), axis=0)
        mixed[np.arange(len(mixed)), np.repeat(np.arange(len(counts)), counts)] = np.concatenate(
            list(map(np.arange, counts))
        )
        parts = np.split(self._ask(mixed) - self._ask(codes[:1]), np.cumsum(counts)[:-1])
        self.own = self._ask(codes)
        self._part = np.stack([part[codes[:, column]] for column, part in enumerate(parts)], axis=1)

    def values(self, rows: NDArray[np.intp], background: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Values [n, M, k] and base [k] of some of the used rows against others."""
        return self._part[rows] - self._part[background].mean(axis=0), self.own[background].mean(axis=0)

    def interactions(self, rows: NDArray[np.intp], background: NDArray[np.intp]) -> Floats:
        """Interaction values [n, M, M, k]: none but of a column with itself."""
        values = self.values(rows, background)[0]
        return np.asarray(values[:, :, None, :] * np.eye(values.shape[1])[None, :, :, None])

    def _ask(self, codes: Codes) -> Floats:
        self.evaluations += len(codes)
        return asker(self._model, self.space, FINE)(self._rows.frame(codes))

    def _hold_pairs(self, rng: np.random.Generator, pairs: int = 200) -> None:
        """Two rows that exchange any of their columns keep the sum of their answers."""
        codes = self._rows.codes
        one, two = codes[rng.integers(0, len(codes), (2, pairs))]
        mine = rng.random(one.shape) < rng.random((pairs, 1))
        asked = np.concatenate([one, two, np.where(mine, one, two), np.where(mine, two, one)])
        first, second, mixed, rest = np.split(self._ask(asked), 4)
        off = float(np.abs(first + second - mixed - rest).max())
        if not off <= OFF * 1e-2 * max(1.0, float(np.abs(first).max())):
            raise InexactError(f"its columns work together: exchanging some moves the sum of two answers by {off:.2g}")


def additive_space(model: Model, outputs: Outputs) -> Space:
    """Where a linear model is a sum: of several classes no log-odds are, but the logarithms less their mean."""
    space = space_of(model, outputs)
    return "margin" if space == "log-odds" and len(model.classes) > 2 else space


def exact_way(model: Model, used: pd.DataFrame, space: Space | None, most: int, seed: int) -> TreeWay | AdditiveWay:
    """The first exact way that is open, in `space` where that is given. Raises InexactError with both reasons."""
    try:
        way = TreeWay(model, used, seed)
        if space in (None, way.space):
            return way
        reason = f"its trees are explained in {way.space}, not in {space}"
    except InexactError as error:
        reason = str(error)
    try:
        wanted = space or additive_space(model, model.predict(used.iloc[:1]))
        return AdditiveWay(model, used, wanted, most, seed)
    except InexactError as error:
        raise InexactError(f"{reason}; {error}") from None
    except UnansweredError:
        raise InexactError(reason) from None
