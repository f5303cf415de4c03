"""The pair plot: hollow dot = legacy, filled dot = candidate, whiskers = interval, band = inside the limit.

Where the limit judges the change, the row is drawn on the scale of the change: the hollow dot stands at "as before"
(0 for a difference, 1 for a ratio), the filled dot at the change with the change's own interval. A change that is
neither (a distance, an agreement) has no "as before", and so no hollow dot. Picture and status always agree:
whiskers inside the band is a pass, outside a block, across its edge a warning.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from workbench.evidence import Finding, Limit, Measure
from workbench.render import words

Role = Literal["legacy", "candidate"]
WIDTH, HEIGHT = 250.0, 42.0
_LEFT, _RIGHT = 8.0, 242.0
_LINES = {"legacy": 11.0, "candidate": 21.0}


@dataclass(frozen=True)
class Dot:
    """A dot with its whisker, in pixels. An open end: the interval goes on beyond the picture."""

    role: Role
    x: float
    y: float
    low: float
    high: float
    open_low: bool = False
    open_high: bool = False


@dataclass(frozen=True)
class Pair:
    """The picture of one finding, in pixels of a WIDTH x HEIGHT box; `label` says the same in words."""

    dots: tuple[Dot, ...]
    band: tuple[float, float] | None
    edges: tuple[float, ...]
    same: float | None
    ends: tuple[str, str]
    label: str


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(_LEFT + min(max(share, 0.0), 1.0) * (_RIGHT - _LEFT), 1)


def pair(finding: Finding) -> Pair | None:
    """The pair plot of a finding; None where there is nothing to compare."""
    on_change = _on_change(finding)
    same = _same(finding) if on_change else None
    measures = _measures(finding, on_change, same)
    if not measures or _says_nothing(finding, measures):
        return None
    unit = next(iter(measures.values())).unit
    axis = _axis(measures.values(), finding.limit, from_zero=same is None)
    if unit == "share" and same is None and all(max(m.value, m.high or 0.0) <= 1 for m in measures.values()):
        axis = _Axis(axis.low, min(axis.high, 1.0))
    signed = on_change and words.is_difference(finding)
    return Pair(
        dots=tuple(_dot(role, measure, axis) for role, measure in measures.items()),
        band=_band(finding.limit, axis),
        edges=_edges(finding.limit, axis),
        same=None if same is None else axis(same),
        ends=(words.tick(axis.low, unit, signed), words.tick(axis.high, unit, signed)),
        label=label(finding),
    )


def label(finding: Finding) -> str:
    """The picture in words, for those who do not see it."""
    parts = []
    for name in ("legacy", "candidate", "change"):
        measure: Measure | None = getattr(finding, name)
        if measure is not None:
            signed = name == "change" and words.is_difference(finding)
            between = words.interval(measure, signed)
            alone = name == "legacy" and finding.candidate is None and finding.change is None
            parts.append(
                f"{'measured' if alone else name} {words.measure(measure, signed)}"
                + (f" ({between})" if between else "")
            )
    shown = finding.shown
    if finding.limit and shown:
        parts.append(words.limit(finding.limit, shown.unit, words.is_change(finding)))
    return "; ".join(parts).replace(words.SPACE, " ")


def _on_change(finding: Finding) -> bool:
    if finding.judged:
        return finding.judged == "change"
    return finding.legacy is None and finding.candidate is None


def _same(finding: Finding) -> float | None:
    """Where the change would stand if nothing had changed; None if it has no such place."""
    if words.is_difference(finding):
        return 0.0
    if finding.change is not None and finding.change.unit == "x":
        return 1.0
    return None


def _measures(finding: Finding, on_change: bool, same: float | None) -> dict[Role, Measure]:
    both: dict[Role, Measure | None] = {"legacy": finding.legacy, "candidate": finding.candidate}
    if on_change:
        unit = finding.change.unit if finding.change else ""
        both = {"legacy": None if same is None else Measure(value=same, unit=unit), "candidate": finding.change}
    found = {role: measure for role, measure in both.items() if measure is not None and math.isfinite(measure.value)}
    # "As before" alone would be a picture of nothing.
    return {} if on_change and "candidate" not in found else found


def _says_nothing(finding: Finding, measures: dict[Role, Measure]) -> bool:
    """One dot alone on a line of its own making."""
    alone = next(iter(measures.values()))
    return len(measures) == 1 and finding.limit is None and alone.low is None and alone.high is None


def _finite(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _axis(measures: Iterable[Measure], limit: Limit | None, from_zero: bool) -> _Axis:
    """One scale that holds every dot, whisker and limit, with round ends; from 0 where 0 is near."""
    seen = _finite(x for measure in measures for x in (measure.value, measure.low, measure.high))
    seen += _finite(limit.accepted) if limit else []
    low, high = min(seen), max(seen)
    if from_zero and low >= 0 and low <= 0.6 * high:
        low = 0.0
    if low == high:
        reach = abs(low) or 0.5
        low, high = (0.0, 2 * reach) if low >= 0 else (-2 * reach, 0.0)
    room = 0.08 * (high - low)
    step = _step((high - low + 2 * room) / 5)
    start = low if low == 0 else low - room
    return _Axis(math.floor(start / step + 1e-9) * step, math.ceil((high + room) / step - 1e-9) * step)


def _step(rough: float) -> float:
    """The next 1, 2 or 5 times a power of ten (Wilkinson's plain ticks)."""
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9)))


def _dot(role: Role, measure: Measure, axis: _Axis) -> Dot:
    low = measure.value if measure.low is None else measure.low
    high = measure.value if measure.high is None else measure.high
    return Dot(
        role=role,
        x=axis(measure.value),
        y=_LINES[role],
        low=axis(low),
        high=axis(high),
        open_low=math.isinf(low),
        open_high=math.isinf(high),
    )


def _band(limit: Limit | None, axis: _Axis) -> tuple[float, float] | None:
    if limit is None:
        return None
    low, high = (axis(bound) for bound in limit.accepted)
    # A limit of exactly one value still needs a band that can be seen.
    return (low, high) if high - low >= 2 else ((low + high) / 2 - 1, (low + high) / 2 + 1)


def _edges(limit: Limit | None, axis: _Axis) -> tuple[float, ...]:
    return tuple(axis(bound) for bound in limit.accepted if math.isfinite(bound)) if limit else ()
