"""Numbers into words. Every face (report, notebook, command line) says a number the same way.

Units: "" a pure number, "share" a fraction drawn as % (its change in points), "x" a ratio, "ms", "s", "rows", ...
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from workbench.evidence import Cell, Finding, Limit, Measure, Status, Verdict

STATUS = {
    Status.FAIL: "blocks go-live",
    Status.ERROR: "broke",
    Status.ABSENT: "not assessed",
    Status.MANUAL: "needs a person",
    Status.WARN: "warning",
    Status.PASS: "passed",
    Status.INFO: "info",
}

GROUPS = {
    Status.FAIL: "Blocks go-live",
    Status.ERROR: "Broke",
    Status.ABSENT: "Not assessed",
    Status.MANUAL: "Needs a person",
    Status.WARN: "Warnings",
    Status.PASS: "Passed",
    Status.INFO: "For information",
}

FIX = {
    Status.PASS: "If it ever fails.",
    Status.INFO: "What to do.",
    Status.ABSENT: "What to do.",
    Status.MANUAL: "What to do.",
}
"""How the fix is announced; "How to fix." for every other status."""

_BRIEF = {
    Status.FAIL: ("{} blocks", "{} block"),
    Status.ERROR: ("{} broke", "{} broke"),
    Status.ABSENT: ("{} not assessed", "{} not assessed"),
    Status.MANUAL: ("{} needs a person", "{} need a person"),
    Status.WARN: ("{} warning", "{} warnings"),
    Status.PASS: ("ready", "ready"),
    Status.INFO: ("for information", "for information"),
}

MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
NOTHING = "\N{EN DASH}"
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_TINY = 1e-4
_LONG_UNIT = 10
_UNITS = {"x": "\N{MULTIPLICATION SIGN}", "share": SPACE + "%", "points": SPACE + "points", "%": SPACE + "%"}
_PLURAL = re.compile("[a-z]{2,}[a-rt-z]s")
_BREAKS = re.compile("[\t-\r\x1c-\x1e\x85\u2028\u2029]+")
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def number(value: float, decimals: int | None = None, signed: bool = False) -> str:
    """A number with thousands separators, three significant digits unless `decimals` is given.

    Numbers below 1e-4 are written as 3.2e-9. NaN reads "not defined".
    """
    if math.isnan(value):
        return "not defined"
    sign = MINUS if value < 0 else "+" if signed and value > 0 else ""
    size = abs(value)
    if math.isinf(size):
        return f"{sign}\N{INFINITY}"
    if decimals is None and 0 < size < _TINY:
        return sign + _scientific(size)
    text = f"{size:,.{_decimals(size) if decimals is None else decimals}f}"
    return text if not any(digit in text for digit in "123456789") else sign + text


def _scientific(size: float) -> str:
    mantissa, exponent = f"{size:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _decimals(size: float, wanted: int = 3) -> int:
    """Decimals that leave `wanted` significant digits; none for whole numbers."""
    if size == 0 or size == round(size):
        return 0
    return min(max(wanted - 1 - math.floor(math.log10(size)), 0), 6)


def _shared_decimals(values: Iterable[float], half_width: float) -> int | None:
    """Decimals for a number and its interval: two digits of the half width; None if all of it is tiny."""
    if max(abs(value) for value in values) < _TINY:
        return None
    return min(max(1 - math.floor(math.log10(half_width)), 0), 6)


def _scale(unit: str) -> float:
    return 100.0 if unit == "share" else 1.0


def _with_unit(text: str, unit: str, change: bool) -> str:
    unit = "points" if unit == "share" and change else short(plain(unit), 24) if unit else ""
    if text.lstrip("+" + MINUS) == "1" and _PLURAL.fullmatch(unit):
        unit = re.sub("(?<=ss|ch)e?s$|(?<=x)e?s$|s$", "", unit)
    return text + (_UNITS.get(unit) or (SPACE + unit if unit else ""))


def _texts(measure: Measure, change: bool) -> tuple[str, str, str]:
    """Value, low and high at one number of decimals, without unit; "" where there is no bound."""
    scale = _scale(measure.unit)
    value = measure.value * scale
    low, high = (None if bound is None else bound * scale for bound in (measure.low, measure.high))
    bounds = [x for x in (low, high) if x is not None and math.isfinite(x)]
    decimals = None
    if math.isfinite(value) and bounds:
        half = (max(bounds) - min(bounds)) / 2 if len(bounds) > 1 else abs(value - bounds[0])
        decimals = _shared_decimals([value, *bounds], half) if half > 0 else None
    signed = change and measure.unit != "x"
    bounded = ["" if bound is None else number(bound, decimals if bound else 0) for bound in (low, high)]
    return number(value, decimals if value else 0, signed), bounded[0], bounded[1]


def measure(measure: Measure | None, change: bool = False) -> str:
    """The number with its unit: "8.7 ms", "1.80 %"; as a change with its sign: "+4.1 points"."""
    if measure is None:
        return ""
    text = _texts(measure, change)[0]
    return text if math.isnan(measure.value) else _with_unit(text, measure.unit, change)


def interval(measure: Measure | None, change: bool = False) -> str:
    """The interval in words: "0.021 to 0.059"; "" where there is none."""
    if measure is None or (measure.low is None and measure.high is None):
        return ""
    _, low, high = _texts(measure, change)
    if not low:
        return f"up to {_with_unit(high, measure.unit, change)}"
    if not high:
        return f"at least {_with_unit(low, measure.unit, change)}"
    return f"{low} to {_with_unit(high, measure.unit, change)}"


def level(measure: Measure | None) -> str:
    """The interval's name: "95 % interval"."""
    if measure is None or measure.level is None:
        return "interval"
    return f"{number(100 * measure.level)}{SPACE}% interval"


def limit(limit: Limit | None, unit: str = "", change: bool = False) -> str:
    """The limit and who set it: "limit 0.05, Risk policy 4.2", "limit at least 0.8, default"."""
    return f"limit {accepted(limit, unit, change)}, {short(plain(limit.set_by), 60)}" if limit else ""


def accepted(limit: Limit, unit: str = "", change: bool = False) -> str:
    """What a limit accepts, its margin included: "0.05", "at least 0.8", "0.9 ± 0.02"."""
    scale = _scale(unit)
    if limit.better == "equal":
        margin = f" ± {exact(limit.margin * scale)}" if limit.margin else ""
        return _with_unit(exact(limit.value * scale) + margin, unit, change)
    low, high = limit.accepted
    text = _with_unit(exact((high if limit.better == "lower" else low) * scale), unit, change)
    return text if limit.better == "lower" else f"at least {text}"


def tick(value: float, unit: str = "", change: bool = False) -> str:
    """A round number at the end of a scale: "0.12", "+5 points"."""
    scaled = value * _scale(unit)
    sign = "+" if change and unit != "x" and scaled > 0 else ""
    return _with_unit(sign + exact(scaled), unit if len(unit) <= _LONG_UNIT else "", change)


def exact(value: float) -> str:
    """A number as a person wrote it, without the digits that binary fractions add."""
    if value and abs(value) < _TINY:
        return f"{value:.6g}".replace("e-0", "e-").replace("-", MINUS, int(value < 0))
    text = f"{value:,.6f}".rstrip("0").rstrip(".")
    return text.replace("-", MINUS)


def shown(finding: Finding) -> str:
    """The number a finding is judged on, or the word for its status where there is none."""
    measured = finding.shown
    if measured is None:
        return STATUS[finding.status]
    return measure(measured, is_change(finding))


def is_change(finding: Finding) -> bool:
    """Whether the shown measure is a difference, which has a sign, and points where it is one of shares."""
    return finding.shown is not None and finding.shown is finding.change and is_difference(finding)


def is_difference(finding: Finding) -> bool:
    """Whether the change is candidate minus legacy, and not a distance, an agreement or a ratio of the two."""
    if finding.legacy is None or finding.candidate is None or finding.change is None:
        return False
    before, after = finding.legacy.value, finding.candidate.value
    return math.isclose(
        finding.change.value, after - before, rel_tol=1e-6, abs_tol=1e-9 * max(abs(before), abs(after), 1)
    )


def defaults(n: int, limits: int) -> str:
    """ "7 of 23 limits are still defaults: nobody in your team has agreed to them."; "" where all are decided."""
    if not n:
        return ""
    are, them = ("is still a default", "it") if n == 1 else ("are still defaults", "them")
    return f"{n} of {count(limits, 'limit')} {are}: nobody in your team has agreed to {them}."


def count(n: int, one: str, many: str = "") -> str:
    """ "1 row", "9,988 rows"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """ "0.3 s", "45 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def age(started: datetime, now: datetime | None = None) -> str:
    """How long ago, short: "now", "5 min", "2 h", "3 d"."""
    seconds = ((now or datetime.now(UTC)) - _utc(started)).total_seconds()
    if seconds < 60:
        return "now"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    return f"{seconds // 3600:.0f} h" if seconds < 86400 else f"{seconds // 86400:.0f} d"


def moment(when: datetime) -> str:
    """ "22 November 2026, 10:45 UTC"."""
    when = _utc(when)
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}, {when:%H:%M} UTC"


def _utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def brief(verdict: Verdict) -> str:
    """The verdict in two or three words, for a strip or a list: "1 blocks", "2 warnings", "ready"."""
    if not verdict.counts or set(verdict.counts) == {Status.ABSENT}:
        return STATUS[Status.ABSENT]
    n = verdict.counts[verdict.status]
    one, many = _BRIEF[verdict.status]
    return (one if n == 1 else many).format(n)


def split(sentence: str) -> tuple[str, str]:
    """A verdict's sentence as headline and the rest: ("Not ready: 1 thing blocks go-live.", "2 warnings.")."""
    head, comma, rest = sentence.partition(", ")
    return (f"{head}.", rest) if comma else (head, "")


def plain(text: str) -> str:
    """Text on one line without control or direction characters, which could rewrite a line or a terminal."""
    text = _BIDI.sub("", text)
    return "".join("\N{REPLACEMENT CHARACTER}" if _control(char) else char for char in _BREAKS.sub(" ", text))


def _control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs")


def short(text: str, most: int = 200) -> str:
    """Text cut at `most` characters with an ellipsis; an empty text is shown as (empty)."""
    if not text.strip():
        return "(empty)"
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def column(cells: Sequence[Cell], unit: str = "", blank: str = "(empty)") -> list[str]:
    """One table column in words; numbers share their decimals, so that they align. blank: for an empty text."""
    floats = [float(cell) for cell in cells if isinstance(cell, float) and math.isfinite(cell)]
    decimals = _column_decimals([abs(cell) * _scale(unit) for cell in floats])
    return [blank if cell == "" else _cell(cell, unit, decimals) for cell in cells]


def _column_decimals(sizes: list[float]) -> int | None:
    """Decimals that show three digits of the largest; None (each by itself) if the smallest would vanish."""
    seen = [size for size in sizes if size]
    if not seen:
        return None
    if all(size == round(size) for size in seen):
        return 0
    spread = max(seen) - min(seen)
    digits = 2 - math.floor(math.log10(max(seen)))
    # Values close together (scores near a threshold) need the digits in which they differ.
    digits = max(digits, 1 - math.floor(math.log10(spread))) if spread else digits
    decimals = min(max(digits, 0), 6)
    decimals = min(decimals, max(len(f"{size:.6f}".rstrip("0").partition(".")[2]) for size in seen))
    return decimals if min(seen) >= 0.5 * 10.0**-decimals else None


def _cell(cell: Cell, unit: str, decimals: int | None) -> str:
    if cell is None:
        return NOTHING
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, str):
        return short(plain(cell))
    if isinstance(cell, int) and unit != "share":
        return f"{cell:,}".replace("-", MINUS)
    return number(cell * _scale(unit), decimals)


HEADINGS = {
    "tn": "true negatives", "fp": "false positives", "fn": "false negatives", "tp": "true positives",
    "tnr": "true negative rate", "fpr": "false positive rate", "fnr": "false negative rate",
    "tpr": "true positive rate", "ppv": "precision", "npv": "negative predictive value",
    "for": "false omission rate", "fdr": "false discovery rate",
    "selection_rate": "selection rate", "base_rate": "base rate", "share_of_selected": "share of selected",
    "mean_prediction": "mean prediction", "mean_residual": "mean residual", "mae": "mean absolute error",
    "calibration_error": "calibration error", "mean_score_minus_base_rate": "mean score - base rate",
    "generalized_entropy": "generalized entropy",
}  # fmt: skip
"""Names of measures that are no words, as a column's heading says them. Any other name may be a column of the data."""


def heading(name: str, unit: str = "") -> str:
    """A column's name with its unit: "latency, ms"."""
    name = HEADINGS.get(name, name)
    sign = {"share": "%", "x": "\N{MULTIPLICATION SIGN}"}.get(unit, short(plain(unit), 24) if unit else "")
    said = short(plain(name), 80) if name.strip() else ""
    return ", ".join(part for part in (said, sign) if part)
