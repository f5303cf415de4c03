"""Experiments on rows that two models answer differently: change one column, ask both again, see what that mends.

Repair: the value is replaced by ones that other rows have, on which the models agree. Where they then agree on this row
too, whichever value was put in, the difference is bound to that column. A float32 threshold is told by moving a number
by one step of float32 either way: one way mends the difference, the other changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.measure.causes import CATEGORY, FLOAT32, MISSING, READ, UNKNOWN, Cause, Pair
from workbench.measure.links import Link, apart

if TYPE_CHECKING:
    from workbench.measure.causes import Ask

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

ROWS = 200
"""Rows that are repaired at most; the others are named by the rule that was found."""
ASKED = 60_000
"""Changed rows that each model is asked at most in one kind of experiment."""
BLOCK = 5_000
"""Changed rows asked at once."""
FEW = 20
"""A column of numbers with at most this many values counts as categories."""
NEVER = "a value never seen"


MENDED = "asked again: with another value in its place both models agree"


class Rule(NamedTuple):
    """A property of rows that a column mends. kind, what, known: as of a `Cause`; has: [n] rows with the property."""

    kind: str
    name: str
    value: Any
    has: Flags
    what: str = ""
    known: str = MENDED


@dataclass
class Experiment:
    """Experiments on the rows in `left`, [n]. What one has explained the next leaves alone."""

    pair: Pair
    link: Link | None
    left: Flags
    _agree: Flags = field(init=False)
    _mended: dict[str, Flags] = field(init=False, default_factory=dict)
    _sample: Ints = field(init=False)
    _stepped: Flags = field(init=False)
    _sampled: pd.DataFrame = field(init=False)
    _known_rules: list[Rule] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        moved = self._differ(self.pair.legacy, self.pair.candidate)
        self._agree = ~(moved | self.pair.flips | self.pair.own_flips)
        self._sample = np.zeros(0, dtype=np.int64)
        self._stepped = np.zeros(len(self.left), dtype=bool)

    @property
    def both(self) -> bool:
        """Whether both models can be asked, and answer with more than a label: labels agree too easily."""
        pair = self.pair
        scored = pair.legacy is not None and pair.candidate is not None
        return scored and pair.ask_legacy is not None and pair.ask_candidate is not None

    def missing_and_categories(self) -> Iterator[Cause]:
        """Rows that a column mends because its value is missing, or one category; then those that need several."""
        self._repair_all()
        self._known_rules = rules = [self._named(rule) for rule in self._rules(("missing", "category"))]
        holds = [rule.has & self.left for rule in rules]
        several = np.sum(holds, axis=0) > 1 if rules else self.left & False
        for rule, has in zip(rules, holds):
            rows = self._mended_by(rule.name) & has
            rows |= self._extended(has & ~several, rows)
            yield self._cause(rule.kind, rule.what, rows & self.left, rule.known)
        for chosen in self._combinations(holds):
            yield from self._together([rules[place] for place in chosen], [holds[place] for place in chosen])

    def localised(self) -> Iterator[Cause]:
        """Rows that one column of numbers mends: not a known cause, but it says where to look."""
        for rule in self._rules(("number",)):
            rows = self._mended_by(rule.name) & self.left
            what = f"bound to {rule.name}: with other values of it both models agree"
            yield self._cause(UNKNOWN, what, (rows | self._extended(rule.has & self.left, rows)) & self.left, MENDED)

    # Repairs ---------------------------------------------------------------------------------------------------------

    def _repair_all(self) -> None:
        """For each column, the sampled rows that it mends whichever value is put in [sample]."""
        columns = [str(name) for name in self.pair.frame.columns]
        most = int(np.clip(ASKED // (3 * max(1, len(columns))), 20, ROWS))
        self._sample = self._some(np.flatnonzero(self.left), most)
        self._sampled = self.pair.frame.iloc[self._sample].reset_index(drop=True)
        if not self._agree.any():
            return
        for name in columns:
            mended = self._repaired([name])
            if mended.any():
                self._mended[name] = mended

    def _repaired(self, names: Sequence[str], rows: Ints | None = None) -> Flags:
        """[rows] whether putting other values into these columns makes both models agree, each time that changes it."""
        rows = self._sample if rows is None else rows
        mended, tried = np.ones(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
        as_it_is = self._sampled if rows is self._sample else self.pair.frame.iloc[rows].reset_index(drop=True)
        for turn in range(3):
            frame, changes = as_it_is, np.zeros(len(rows), dtype=bool)
            for name in names:
                benign = self._benign(name)
                if len(benign) > turn:
                    changes |= ~_equal(frame[name], benign[turn])
                    frame = _put(frame, name, benign[turn])
            active = np.flatnonzero(changes & mended)
            if len(active):
                mended[active] &= ~self._apart_on(frame.iloc[active])
                tried[active] = True
            if not mended.any():
                break
        return mended & tried

    def _benign(self, name: str) -> list[Any]:
        """Up to three values of the column in rows on which the models agree: quartiles, or the most common."""
        known = self.pair.frame[name][self._agree].dropna()
        if _ordered(known) and known.nunique() > FEW:
            ordered = known.sort_values()
            return [ordered.iloc[int(share * (len(ordered) - 1))] for share in (0.5, 0.25, 0.75)]
        return list(known.value_counts().index[:3])

    def _rules(self, kinds: tuple[str, ...]) -> Iterator[Rule]:
        """Greedily the property (a column's missing value, one category, or any number) that mends most rows."""
        open_ = self.left[self._sample]
        while open_.any():
            best = max(self._properties(open_, kinds), key=lambda one: one[0], default=None)
            if best is None:
                return
            _, kind, name, value = best
            has = self._having(kind, name, value)
            here = has[self._sample] & open_
            open_ = open_ & ~(here & self._mended[name])
            # A cause is at work in most rows that have it; a few are mended by chance, on another way through a tree.
            if kind == "number" or 2 * (here & self._mended[name]).sum() >= here.sum():
                yield Rule(kind, name, value, has)

    def _mended_by(self, name: str) -> Flags:
        """[n] rows of the sample that this column alone mends."""
        rows = np.zeros(len(self.left), dtype=bool)
        rows[self._sample[self._mended[name]]] = True
        return rows

    def _extended(self, has: Flags, mended: Flags) -> Flags:
        """[n] rows that were not asked and have what (nearly) all mended rows have."""
        asked = np.zeros(len(has), dtype=bool)
        asked[self._sample] = True
        pure = (has & mended).sum() >= 0.9 * (has & asked).sum() > 0
        return has & ~asked if pure else np.zeros(len(has), dtype=bool)

    def _combinations(self, holds: list[Flags]) -> list[tuple[int, ...]]:
        """Places of the rules that a row in `left` has at once, for every such combination."""
        if len(holds) < 2 or not self.left.any():
            return []
        found = {tuple(np.flatnonzero(row).tolist()) for row in np.unique(np.array(holds)[:, self.left], axis=1).T}
        return sorted(one for one in found if len(one) > 1)

    def _together(self, rules: list[Rule], holds: list[Flags]) -> Iterator[Cause]:
        """Rows that only several columns mend at once."""
        has = np.logical_and.reduce(holds) & self.left
        rows = self._some(np.flatnonzero(has), 50)
        if not len(rows):
            return
        mended = self._repaired([rule.name for rule in rules], rows)
        here = has.copy()
        if mended.mean() < 0.9:
            here = np.zeros(len(has), dtype=bool)
            here[rows[mended]] = True
        kind, what = " + ".join(rule.kind for rule in rules), "; ".join(rule.what for rule in rules)
        yield self._cause(kind, what, here, MENDED)

    def _properties(
        self, open_: Flags, kinds: tuple[str, ...]
    ) -> Iterator[tuple[tuple[int, int, float], str, str, Any]]:
        """(weight, kind, column, value) of every property of a mended row. Weight: rows mended, then missing before
        category before number, then how rare it is among rows that agree."""
        for name, mended in self._mended.items():
            hit = mended & open_
            values = self.pair.frame[name].iloc[self._sample[hit]]
            absent = int(values.isna().sum())
            if not len(values):
                continue
            if absent >= 0.9 * len(values):
                if "missing" in kinds:
                    rare = -float(self.pair.frame[name][self._agree].isna().mean())
                    yield (absent, 2, rare), "missing", name, None
            elif _category(self.pair.frame[name]):
                if "category" in kinds:
                    counts = values.value_counts()
                    rare = -float((self.pair.frame[name][self._agree] == counts.index[0]).mean())
                    yield (int(counts.iloc[0]), 1, rare), "category", name, counts.index[0]
            elif "number" in kinds:
                yield (len(values), 0, 0.0), "number", name, None

    def _having(self, kind: str, name: str, value: Any) -> Flags:
        column = self.pair.frame[name]
        if kind == "missing":
            return column.isna().to_numpy()
        if kind == "category":
            return _equal(column, value)
        return np.asarray(column.notna().to_numpy())

    def _cause(self, kind: str, what: str, rows: Flags, known: str) -> Cause:
        self.left &= ~rows
        return Cause(kind, what, rows, known)

    def _named(self, rule: Rule) -> Rule:
        """With the cause it stands for."""
        if rule.kind == "missing":
            return rule._replace(kind=MISSING, what=rule.name)
        value = f"{rule.name} = {rule.value}"
        blind = self._blind(rule.name, rule.has & self.left)
        if not blind:
            return rule._replace(kind=READ, what=value)
        other = "legacy" if blind == "candidate" else "candidate"
        known = f"asked again: the {blind} answers as for a value never seen"
        return rule._replace(kind=CATEGORY, what=f"{value}: only the {other} knows it", known=known)

    def _blind(self, name: str, rows: Flags) -> str:
        """The side that answers a value as it answers one that nobody has seen, while the other does not; "" where none
        does, or where it is because that side does not look at the column at all."""
        strange_value = _never(self.pair.frame[name])
        if strange_value is None:
            return ""
        some = self._some(np.flatnonzero(rows), 50)
        frame = self.pair.frame.iloc[some].reset_index(drop=True)
        strange = _put(frame, name, strange_value)
        blind, looks = {}, {}
        for side in ("legacy", "candidate"):
            ask, answers = getattr(self.pair, f"ask_{side}"), getattr(self.pair, side)
            never = self._asked(ask, strange)
            others = [self._asked(ask, _put(frame, name, value)) for value in self._benign(name)]
            blind[side] = bool((apart(never, answers[some]) <= self.pair.tolerance).all())
            looks[side] = any((apart(never, other) > self.pair.tolerance).any() for other in others)
        found = [side for side in blind if blind[side] and looks[side]]
        return found[0] if len(found) == 1 and not all(blind.values()) else ""

    # float32 ---------------------------------------------------------------------------------------------------------

    def float32(self) -> Iterator[Cause]:
        """Rows that one step of float32 in one number mends, and a step the other way leaves as they are. Each row is
        tried once, as many as may be asked; called again it goes on with the others."""
        if not (self.pair.ask_legacy or self.pair.ask_candidate):
            return
        names = [str(name) for name in self.pair.frame.columns if _numeric(self.pair.frame[name])]
        rows = self._some(np.flatnonzero(self.left & ~self._stepped), max(50, ASKED // (2 * max(1, len(names)))))
        self._stepped[rows] = True
        for name in names:
            crossed = self._crossed(name, rows)
            if crossed.any():
                here = np.zeros(len(self.left), dtype=bool)
                here[rows[crossed]] = True
                rows = rows[~crossed]
                known = "asked again: one step of float32 in this column makes the difference, and only one way"
                yield self._cause(FLOAT32, name, here, known)

    def float32_beside(self) -> Iterator[Cause]:
        """Rows that need a step of float32 in one number and, besides, another value in the column of a rule."""
        for rule in self._known_rules:
            for value in self._benign(rule.name):
                rows = self._some(np.flatnonzero(rule.has & self.left), ROWS)
                mended = _put(self.pair.frame.iloc[rows].reset_index(drop=True), rule.name, value)
                for name in (str(name) for name in mended.columns if len(rows)):
                    if name != rule.name and _numeric(mended[name]):
                        here = np.zeros(len(self.left), dtype=bool)
                        here[rows[self._crossed_in(mended, name)]] = True
                        kind, what = f"{rule.kind} + {FLOAT32}", f"{rule.what}; {name}"
                        yield self._cause(kind, what, here & self.left, MENDED)

    def _crossed_in(self, frame: pd.DataFrame, name: str) -> Flags:
        """[rows of frame] the models differ, agree a step up and a step down, and one step is none to the legacy."""
        x = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        here, up, down = (frame.assign(**{name: x + way * _step(x)}) for way in (0, 1, -1))
        before = [self._asked(self.pair.ask_legacy, rows) for rows in (here, up, down)]
        after = [self._asked(self.pair.ask_candidate, rows) for rows in (here, up, down)]
        differ = [self._differ(one, two) for one, two in zip(before, after)]
        stays = [apart(before[0], moved) <= self.pair.tolerance for moved in before[1:]]
        return differ[0] & ~differ[1] & ~differ[2] & (stays[0] ^ stays[1])

    def _apart_on(self, frame: pd.DataFrame) -> Flags:
        return self._differ(self._asked(self.pair.ask_legacy, frame), self._asked(self.pair.ask_candidate, frame))

    def _crossed(self, name: str, rows: Ints) -> Flags:
        """[rows] see `float32`."""
        column = self.pair.frame[name]
        x = column.iloc[rows].to_numpy(dtype=np.float64, na_value=np.nan)
        step = _step(x)
        # Whole numbers that float32 holds exactly cannot cross anything.
        able = np.isfinite(x) & np.isfinite(step) & ((step >= 1) | (column.dtype.kind == "f"))
        found = np.zeros(len(rows), dtype=bool)
        if not able.any():
            return found
        up, down = (self._moved(name, rows[able], x[able] + way * step[able]) for way in (1, -1))
        stays = [self._stays(rows[able], one) for one in (up, down)]
        mends = [self._mends(rows[able], one) for one in (up, down)]
        found[able] = (mends[0] & stays[1] & ~stays[0]) | (mends[1] & stays[0] & ~stays[1])
        return found

    def _moved(self, name: str, rows: Ints, values: Floats) -> Floats:
        """The answers of one side, legacy if it can be asked, with these values in the column."""
        frame = self.pair.frame.iloc[rows].reset_index(drop=True)
        return self._asked(self.pair.ask_legacy or self.pair.ask_candidate, frame.assign(**{name: values}))

    def _stays(self, rows: Ints, answers: Floats) -> Flags:
        own = self._known(self.pair.ask_legacy is not None)
        return apart(own[rows], answers) <= self.pair.tolerance

    def _mends(self, rows: Ints, answers: Floats) -> Flags:
        first = self.pair.ask_legacy is not None
        other = self._known(not first)[rows]
        return ~self._differ(answers, other) if first else ~self._differ(other, answers)

    def _known(self, legacy: bool) -> Floats:
        scores = self.pair.legacy if legacy else self.pair.candidate
        if scores is not None:
            return scores
        assert self.pair.decided is not None
        return self.pair.decided[0 if legacy else 1].astype(np.float64)

    # Asking ----------------------------------------------------------------------------------------------------------

    def _asked(self, ask: Ask | None, frame: pd.DataFrame) -> Floats:
        assert ask is not None
        parts = [ask(frame.iloc[start : start + BLOCK]) for start in range(0, len(frame), BLOCK)]
        return np.concatenate(parts)

    def _differ(self, legacy: Floats | None, candidate: Floats | None) -> Flags:
        """[n] whether two answers differ by more than the relation that holds for most rows."""
        if legacy is None or candidate is None:
            return np.zeros(len(self.pair.frame), dtype=bool)
        if self.link is not None:
            return ~self.link.explained(legacy, candidate)
        return apart(legacy, candidate) > self.pair.tolerance

    def _some(self, rows: Ints, most: int) -> Ints:
        if len(rows) <= most:
            return rows
        return np.sort(np.random.default_rng(self.pair.seed).choice(rows, most, replace=False))


def _step(x: Floats) -> Floats:
    """[n] distance to the next float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.spacing(np.abs(x).astype(np.float32)), dtype=np.float64)


def _numeric(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _ordered(column: pd.Series) -> bool:
    return _numeric(column) or column.dtype.kind in "mM"


def _category(column: pd.Series) -> bool:
    return not _ordered(column) or (_numeric(column) and column.nunique() <= FEW)


def _equal(column: pd.Series, value: Any) -> Flags:
    return np.asarray((column == value).fillna(False).to_numpy(dtype=bool))


def _put(frame: pd.DataFrame, name: str, value: Any) -> pd.DataFrame:
    """The value in every row of the column, which keeps its kind where it can hold the value."""
    column = frame[name]
    kept: Any = None if _numeric(column) else column.dtype
    if isinstance(kept, pd.CategoricalDtype) and value not in kept.categories:
        kept = object
    return frame.assign(**{name: pd.Series([value] * len(frame), index=frame.index, dtype=kept)})


def _never(column: pd.Series) -> Any:
    """A value that the column has never held; None for yes and no, and for dates."""
    if _numeric(column):
        known = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return float(known[np.isfinite(known)].max(initial=0.0)) + 1_000_003.0
    return None if column.dtype.kind in "bmM" else NEVER
