"""Missing values that look like values: words, blanks, sentinels such as -999 or 1900-01-01."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from workbench.data.profile import Facts, Profile, tally
from workbench.data.trouble import Trouble, values_table, worst

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NOTHING = """? ?? - -- --- . .. * n/a #n/a #na n.a. n.a na <na> nan null (null) nil <null> #null! missing (missing)
<missing> not_available undefined tbd xxx #value! #ref! #div/0!"""
WORDS = frozenset({"", "not available", "not applicable", "not specified", "no data", "not known", *_NOTHING.split()})
"""Words that stand for nothing wherever they are (lower case, trimmed)."""
DOUBTFUL = frozenset({"none", "unknown", "unk", "other/unknown", "empty", "k.a.", "n.v."})
"""Words that may also be a category ("guarantor: none"): they count only where they are rare, or among numbers."""
RARE = 0.10
_REPEATED = (sign * float(digit * repeat) for sign in (-1, 1) for digit in "89" for repeat in range(2, 10))
SENTINELS = (*_REPEATED, -1e9, 2147483647.0, -2147483648.0)
DATES = ("0001-01-01", "1753-01-01", "1899-12-30", "1900-01-01", "1970-01-01", "2099-12-31", "2999-12-31", "9999-12-31")


def disguised(
    profiles: Sequence[Profile], names: Iterable[str], personal: frozenset[str] = frozenset()
) -> tuple[list[Trouble], dict[tuple[str, str], int]]:
    """Troubles by column, and the counts by (table, column)."""
    found = {(p.name, name): dict(_found(p, p.facts[name])) for name in names for p in profiles if name in p.facts}
    _count_sentinels(profiles, found)
    counts = {key: sum(values.values()) for key, values in found.items()}
    troubles = [
        t for name in dict.fromkeys(name for _, name in found) if (t := _trouble(profiles, name, found, personal))
    ]
    return troubles, counts


def _trouble(
    profiles: Sequence[Profile], name: str, found: dict[tuple[str, str], dict[str, int]], personal: frozenset[str]
) -> Trouble | None:
    total: dict[str, int] = {}
    for p in profiles:
        for value, count in found.get((p.name, name), {}).items():
            total[value] = total.get(value, 0) + count
    counts = {p.name: (sum(found[p.name, name].values()), p.rows) for p in profiles if (p.name, name) in found}
    kinds = {p.facts[name].column.type for p in profiles if name in p.facts}
    # A sentinel is a name for nothing, not a person's value: it may be shown however rare it is.
    listed: list[Any] = [float(value) for value in total] if kinds <= {"integer", "number"} else sorted(total)
    fix = f"frame[{name!r}] = frame[{name!r}].replace({listed!r}, None)"
    rows = [(value or "(blank)", max(count, 10)) for value, count in sorted(total.items(), key=lambda item: -item[1])]
    table = values_table("What stands for nothing", [(value, count) for value, count in rows])
    return worst("disguised-nulls", name, counts, "Values that stand for a missing one in {where}", fix, [table])


def _found(p: Profile, facts: Facts) -> Iterator[tuple[str, int]]:
    """Candidates with their counts; numbers and dates are counted later, all in one pass."""
    if facts.column.type == "text":
        yield from _words(facts)
    elif facts.column.type in ("integer", "number"):
        values = p.frame[facts.name].dropna().to_numpy(float)
        yield from ((str(value), 0) for value in sentinels(values))
    elif facts.column.type in ("date", "datetime"):
        yield from ((day, 0) for day in _days(p, facts))


def _words(facts: Facts) -> Iterator[tuple[str, int]]:
    numbers = sum((facts.forms or {}).values()) > facts.present / 2
    for value, count in facts.values:
        word = value.strip().casefold()
        rare = numbers or count <= RARE * facts.present
        if word in WORDS or (word in DOUBTFUL and rare and facts.distinct > 2) or (numbers and _sentinel(word)):
            yield value, count


def _sentinel(word: str) -> bool:
    digits = word.lstrip("-")
    return digits.isdigit() and len(digits) > 2 and float(word) in SENTINELS


def sentinels(values: NDArray[np.float64]) -> list[float]:
    """Repeated values such as -999 or 9999 that lie apart from all others, at an end of the distribution.

    Apart: a negative one below values that are never negative, or a gap wider than the range of all the others.
    """
    import numpy as np

    distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    found: list[float] = []
    for _ in range(4):
        if len(distinct) < 3:
            break
        end = next((e for e in (0, -1) if distinct[e] in SENTINELS and counts[e] >= 2 and _apart(distinct, e)), None)
        if end is None:
            break
        found.append(float(distinct[end]))
        distinct, counts = np.delete(distinct, end), np.delete(counts, end)
    return found


def _apart(distinct: NDArray[np.float64], end: int) -> bool:
    rest = distinct[1:] if end == 0 else distinct[:-1]
    value = distinct[end]
    # Another sentinel at the same end does not make the rest wide.
    ordinary = [x for x in rest if x not in SENTINELS]
    if len(ordinary) < 2:
        return False
    low, high = ordinary[0], ordinary[-1]
    if value < 0 <= low:
        return True
    gap = low - value if end == 0 else value - high
    return bool(gap > (high - low))


def _days(p: Profile, facts: Facts) -> Iterator[str]:
    import pandas as pd

    days = pd.to_datetime(p.frame[facts.name].dropna()).dt.normalize()
    counts = days.value_counts().sort_index()
    for day in DATES:
        stamp = pd.Timestamp(day)
        rest = counts.drop(stamp, errors="ignore")
        if counts.get(stamp, 0) >= 2 and len(rest) >= 2:
            span = rest.index[-1] - rest.index[0]
            if stamp < rest.index[0] - span or stamp > rest.index[-1] + span:
                yield day


def _count_sentinels(profiles: Sequence[Profile], found: dict[tuple[str, str], dict[str, int]]) -> None:
    for p in profiles:
        asked = {}
        for (table, name), values in found.items():
            if table == p.name and p.facts[name].column.type != "text":
                for value in values:
                    asked[f"{p.facts[name].column.id} {value}"] = _equals(p.facts[name], value)
        counted = tally(p.table, asked)
        for (table, name), values in found.items():
            if table == p.name and p.facts[name].column.type != "text":
                values |= {value: counted[f"{p.facts[name].column.id} {value}"] for value in values}


def _equals(facts: Facts, value: str) -> Any:
    def ask(expr: Any) -> Any:
        column = expr[facts.column.id]
        if facts.column.type in ("date", "datetime"):
            return (column.cast("date").cast("string") == value).sum()
        return (column.cast("float64") == float(value)).sum()

    return ask
