"""Fairness of every row of a table whose answers lie in it: counted where they are, in one scan, never loaded.

There is an answer from here where the task is binary and both models' answers are columns of decisions or of scores;
`counted` gives None otherwise. Count metrics, thresholds, the Brier score and the mean score are exact; the area under
the ROC curve is that of scores cut into BINS, its interval widened by what the cut can hide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from workbench.data import counts as door
from workbench.data.counts import AtLeast, Binned, Cells, Cut, Key, Listed, Rows
from workbench.measure import quality
from workbench.measure.auc import area_estimate
from workbench.measure.fairness import GAPS, UNKNOWN, Counts, Floats
from workbench.measure.fairness_groups import FEW, MISSING, band_names, edges_of, merged, split
from workbench.measure.fairness_paired import Assessed, Ints, Part, Plan, Tally, assess
from workbench.measure.fairness_scores import MANY
from workbench.measure.fairness_thresholds import BINS, Bins
from workbench.measure.intervals import Estimate, clopper_pearson
from workbench.measure.matched import refuse_weights
from workbench.measure.separation import binned_auc
from workbench.models import Model, normal
from workbench.scored import Scored, truth

CROSSED = 500
"""Groups of all attributes at once up to which one grouping serves every split; beyond, each split has its own."""
SIDES = ("legacy", "candidate")


@dataclass(frozen=True)
class _Answer:
    """How one model's answers are read where they lie. score: the column of P(positive), None for decisions."""

    decided: Key
    score: str | None = None


@dataclass(frozen=True)
class _Attribute:
    """labels: of the key's codes, the missing last."""

    name: str
    key: Key
    labels: tuple[str, ...]


def counted(scored: Scored, names: Sequence[str], depth: int = 1) -> Everyone | None:
    """Every row of the holdout, by the attributes named and their intersections, where it has more than were sampled.

    None where its answers, its truth or an attribute cannot be read in place. Raises WeightError.
    """
    whole = scored.whole
    if whole is None or scored.task.kind != "binary" or scored.total <= len(scored):
        return None
    rows = Rows(whole.table, whole.beside)
    answers = [_answer(rows, model, scored) for model in (whole.legacy, whole.candidate) if model is not None]
    there = {column.name for column in whole.table.columns}
    scores = [answer.score for answer in answers if answer is not None and answer.score is not None]
    attributes = [_attribute(rows, name, scores) for name in names if name in there]
    target = _truth(rows, scored)
    if target is None or None in answers or None in attributes:
        return None
    if scored.roles.weight:
        refuse_weights(*door.weights(rows, scored.roles.weight))
    return Everyone(scored, rows, target, [a for a in answers if a], [a for a in attributes if a], depth)


def _truth(rows: Rows, scored: Scored) -> Key | None:
    values = door.distinct(rows, scored.task.target)
    if values is None:
        return None
    codes = truth(values, scored.task, scored.classes).astype(int)
    return Listed(scored.task.target, _coded(values, np.where(codes < 0, UNKNOWN, codes)), 3)


def _coded(values: pd.Series[Any], codes: Ints) -> dict[Any, int]:
    return {value: int(code) for value, code, gone in zip(values.tolist(), codes, values.isna()) if not gone}


def _answer(rows: Rows, model: Model, scored: Scored) -> _Answer | None:
    """By the model's own answers about the column's distinct values, or as a threshold on very many numbers."""
    name, second = model.inputs[0].name, normal(scored.task.positive) == normal(scored.classes[-1])
    values = door.distinct(rows, name)
    outputs = None if values is None else model.predict(values.to_frame())
    if values is not None and outputs is not None and outputs.scores is None:
        positive, known = normal(scored.task.positive), {normal(label) for label in scored.classes}
        labels = [] if outputs.labels is None else outputs.labels.tolist()
        said = [normal(label) if label is not None else "" for label in labels]
        codes = [UNKNOWN if label not in known else int(label == positive) for label in said]
        return _Answer(Listed(name, _coded(values, np.array(codes)), 3))
    numeric = rows.column(name).type in ("integer", "number")
    if not second or not numeric or getattr(model, "decides", False):
        return None
    low, high = door.spread(rows, name)
    return _Answer(AtLeast(name, scored.task.threshold), name) if 0 <= low <= high <= 1 else None


def _attribute(rows: Rows, name: str, scores: Sequence[str]) -> _Attribute | None:
    """The groups `split` makes of the column, None for more values than can be told apart."""
    kind, values = rows.column(name).type, door.distinct(rows, name)
    years = kind in ("date", "datetime")
    numbers = None if values is None else pd.to_numeric(values.dt.year if years else values, errors="coerce")
    many = numbers is None or numbers.replace([np.inf, -np.inf], np.nan).nunique() > FEW
    if many and (years or kind in ("integer", "number")):
        return _bands(rows, name, years, scores)
    if values is None:
        return None
    groups = split(values, name)
    known = tuple(label for label in groups.labels if label != MISSING)
    codes = np.where(groups.codes < len(known), groups.codes, len(known))
    return _Attribute(name, Listed(name, _coded(values, codes), len(known) + 1), (*known, MISSING))


def _bands(rows: Rows, name: str, years: bool, scores: Sequence[str]) -> _Attribute:
    def spread(shares: Sequence[float] = ()) -> tuple[float, ...]:
        return door.spread(rows, name, shares, year=years, where=scores)

    low, high = spread()
    if years and high - low < FEW:
        edges = [float(year) for year in range(int(low) + 1, int(high) + 1)]
        labels = [str(year) for year in range(int(low), int(high) + 1)]
    else:
        edges = edges_of(name, low, high, lambda shares: spread(shares)[2:])
        labels = band_names(edges)
    return _Attribute(name, Cut(name, tuple(edges), years), (*labels, MISSING))


class Everyone:
    """All rows, as `fairness_people.People`. Counting them is one scan, made at once for every split."""

    decides = whole = True

    def __init__(
        self,
        scored: Scored,
        rows: Rows,
        target: Key,
        answers: Sequence[_Answer],
        attributes: Sequence[_Attribute],
        depth: int,
    ) -> None:
        self._scored, self._answers, self._attributes = scored, answers, attributes
        self.columns = frozenset(column.name for column in rows.table.columns)
        places, sizes = range(len(attributes)), [attribute.key.size for attribute in attributes]
        self._splits = [one for size in range(1, depth + 1) for one in combinations(places, size)]
        bases = [tuple(places)] if math.prod(sizes) <= CROSSED else self._splits
        found = self._count(rows, target, bases)
        self._found = {base: found[i :: len(bases)] for i, base in enumerate(bases)}
        self._all = self._tally((), bases[0], Plan())
        cells, *histograms = self._found[bases[0]]
        self._everyone = self._histograms(histograms, (), self._groups(cells, (), ())[0], 1)
        counts = self._all.parts[0].counts
        self.n, self.known = int(counts.rows.sum()), int(counts.rows[:, :UNKNOWN].sum())

    def _count(self, rows: Rows, target: Key, bases: Sequence[tuple[int, ...]]) -> list[Cells]:
        """For each base the table of decisions, then for each model the histogram of its scores."""
        keys: dict[str, Key] = {"truth": target}
        keys |= {f"a{i}": attribute.key for i, attribute in enumerate(self._attributes)}
        sides = range(len(self._answers))
        keys |= {f"answer{i}": answer.decided for i, answer in enumerate(self._answers)}
        columns = [answer.score for answer in self._answers if answer.score is not None]
        keys |= {f"bins{i}": Binned(column, BINS) for i, column in enumerate(columns)}
        decided = tuple(f"answer{i}" for i in sides)
        wanted = [decided, *((f"bins{i}",) for i in range(len(columns)))]
        groupings = [(*(f"a{i}" for i in base), "truth", *tail) for tail in wanted for base in bases]
        moments = tuple(dict.fromkeys(columns))
        weight = self._scored.roles.weight
        return door.count(rows, keys, groupings, answered=decided, weight=weight, moments=moments)

    def one_answer(self) -> list[Estimate]:
        """As `fairness_scores.one_answer`."""
        rows = self._all.parts[0].counts.rows[0].sum(0)
        selected = [int(rows.sum(1 - i)[1]) for i in range(len(self._answers))]
        rest = [min(one, self.n - one) for one in selected]
        return [Estimate(one / self.n if self.n else math.nan, *clopper_pearson(one, self.n)) for one in rest]

    def order(self) -> list[Estimate]:
        """As `fairness_scores.order`, of the binned scores."""
        table = self._all.parts[0].counts.rows[0, :UNKNOWN].astype(np.float64)
        bare = [table.sum(2 - i)[:, :UNKNOWN] for i in range(len(self._answers))]
        return [
            _area(side if histogram is None else histogram.rows[0, :UNKNOWN])
            for side, histogram in zip(bare, self._everyone)
        ]

    def assessed(self, names: Sequence[str], depth: int, plan: Plan) -> Iterator[Assessed]:
        """Each attribute, then their intersections; those this was made with."""
        for split_ in self._splits:
            base = split_ if split_ in self._found else next(iter(self._found))
            yield assess(self._tally(split_, base, plan), plan)

    def _tally(self, chosen: tuple[int, ...], base: tuple[int, ...], plan: Plan) -> Tally:
        cells, *histograms = self._found[base]
        kept = tuple(base.index(one) for one in chosen)
        groups, labels = self._groups(cells, chosen, kept)
        paired = len(self._answers) == 2
        counts = _counts(cells, _places(cells, kept, groups), labels, paired)
        bins = self._histograms(histograms, kept, groups, len(labels))
        shown = len(labels) <= MANY
        scores, loose = _score_table(bins, counts, plan.least) if shown else (pd.DataFrame(), 0.0)
        return Tally(
            name=" × ".join(self._attributes[one].name for one in chosen) or "(all)",
            parts=(Part("", tuple(GAPS), counts),),
            paired=paired,
            scores=scores,
            bins=tuple(one for one in bins if one) if shown and None not in bins else (),
            note=f" (AUC to ±{_up(loose):g})" if loose else "",
            threshold=self._scored.task.threshold,
        )

    def _histograms(
        self, found: Sequence[Cells], kept: tuple[int, ...], groups: _Numbered, count: int
    ) -> list[Bins | None]:
        """By model; None for one that gives no scores."""
        left = iter(found)
        return [
            None if answer.score is None else _bins(one := next(left), _places(one, kept, groups), count, answer.score)
            for answer in self._answers
        ]

    def _groups(
        self, cells: Cells, chosen: tuple[int, ...], kept: tuple[int, ...]
    ) -> tuple[_Numbered, tuple[str, ...]]:
        """The groups that occur: their codes, packed, with the place of each; and their labels. Rare ones as one."""
        flat = _flat(cells, kept)
        codes, back = np.unique(flat, return_inverse=True)
        n = np.bincount(back, cells.rows, len(codes)).astype(np.int64)
        parts = np.unravel_index(codes, tuple(cells.shape[i] for i in kept)) if kept else ()
        named = [[self._attributes[one].labels[code] for code in part] for one, part in zip(chosen, parts)]
        labels = tuple(" × ".join(part) for part in zip(*named)) if named else ("(all)",)
        labels, place = merged(labels, n) if named else (labels, np.zeros(1, np.int64))
        return _Numbered(codes, place), labels


@dataclass(frozen=True)
class _Numbered:
    codes: Ints
    place: Ints


def _flat(cells: Cells, kept: tuple[int, ...]) -> Ints:
    """[m], the codes of some keys as one number."""
    if not kept:
        return np.zeros(len(cells.place), dtype=np.int64)
    codes = cells.codes
    return np.asarray(np.ravel_multi_index([codes[i] for i in kept], [cells.shape[i] for i in kept]), dtype=np.int64)


def _places(cells: Cells, kept: tuple[int, ...], groups: _Numbered) -> Ints:
    return groups.place[np.searchsorted(groups.codes, _flat(cells, kept))]


def _counts(cells: Cells, place: Ints, labels: tuple[str, ...], paired: bool) -> Counts:
    codes = cells.codes[-3:] if paired else (*cells.codes[-2:], np.full(len(place), UNKNOWN))
    shape = (len(labels), 3, 3, 3)
    flat = np.ravel_multi_index((place, *codes), shape)

    def summed(values: Floats | Ints) -> Floats:
        return np.bincount(flat, values, math.prod(shape)).reshape(shape).astype(np.float64)

    rows = np.rint(summed(cells.rows)).astype(np.int64)
    return Counts(labels, rows, summed(cells.weight), summed(cells.squares))


def _bins(cells: Cells, place: Ints, groups: int, column: str) -> Bins:
    shape = (groups, 3, BINS + 1)
    flat = np.ravel_multi_index((place, *cells.codes[-2:]), shape)
    parts = (cells.weight, cells.rows, *cells.sums[column])
    return Bins(*(np.bincount(flat, part, math.prod(shape)).reshape(shape).astype(np.float64) for part in parts))


def _score_table(bins: Sequence[Bins | None], counts: Counts, least: int) -> tuple[pd.DataFrame, float]:
    """As `fairness_scores.score_table`, and how far an area under the ROC curve of it may be off."""
    found, loose = [], 0.0
    for place, label in enumerate(counts.labels):
        known = int(counts.rows[place, :UNKNOWN].sum())
        for name, histogram in zip(SIDES, bins):
            if histogram is None or known < least:
                continue
            figures = _figures(histogram, place)
            loose = max(loose, figures.pop("loose"))
            found.append({"group": label, "model": name, "rows": known, **figures})
    return pd.DataFrame(found), loose


def _figures(bins: Bins, place: int) -> dict[str, float]:
    assert bins.sums is not None
    assert bins.squares is not None
    weight, sums, squares = (part[place, :UNKNOWN] for part in (bins.weight, bins.sums, bins.squares))
    (down, up), total = weight, float(weight.sum())
    nothing = not (up.sum() and down.sum())
    area = math.nan if nothing else binned_auc(np.arange(BINS + 1, dtype=np.float64), up, down)[0]
    off = up - sums.sum(0)
    off[-2] += off[-1]  # a score of 1 belongs to the last bin
    tenths = off[:-1].reshape(quality.BINS, -1).sum(1)
    return {
        "auc": area,
        "brier": float(squares.sum() - 2 * sums[1].sum() + up.sum()) / total,
        "calibration_error": float(np.abs(tenths).sum()) / total,
        "mean_score_minus_base_rate": float(sums.sum() - up.sum()) / total,
        "loose": 0.0 if nothing else _loose(up, down),
    }


def _area(bins: Floats) -> Estimate:
    """bins: [2, B], rows of either class. The interval is widened by half the pairs that share a bin."""
    down, up = bins
    if min(up.sum(), down.sum()) < 2:
        return Estimate(math.nan)
    area, variance = binned_auc(np.arange(bins.shape[-1], dtype=np.float64), up, down)
    value, low, high = area_estimate(area, variance, 0.95)
    return Estimate(value, max(0.0, low - (loose := _loose(up, down))), min(1.0, high + loose))


def _loose(up: Floats, down: Floats) -> float:
    """How far the area of the scores themselves may lie from that of their bins."""
    return float((up * down).sum() / (2 * up.sum() * down.sum()))


def _up(value: float) -> float:
    """The next number of one digit."""
    step = 10.0 ** math.floor(math.log10(value))
    return math.ceil(value / step) * step
