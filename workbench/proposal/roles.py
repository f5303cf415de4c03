"""What the columns are: protected, key, time, personal, weight, ignored; by name first, by content to be sure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.proposal.names import AGE, BIRTH, EVENT, KEY, PERSONAL, PROTECTED, ROW_NUMBER, TIME, WEIGHT, says
from workbench.proposal.seen import Proposed, Seen, listed, refuse_unknown

if TYPE_CHECKING:
    import pandas as pd

_NONE = (
    Proposed(key="roles.protected", confidence="low", why="none by its name. Without one, nothing is said about bias"),
    Proposed(key="roles.key", confidence="medium", why="none seen, for no column has another value in every row"),
    Proposed(key="roles.time", confidence="medium", why="none seen, for no column holds dates"),
    Proposed(key="roles.personal", confidence="medium", why="none seen, by content or name"),
)
MANY = 50
"""Distinct text values beyond which a column is no attribute of groups."""


def propose_roles(seen: Seen, target: str, protected: Sequence[str] | None) -> list[Proposed]:
    """One proposal per role that has a column; each column in one role, personal data apart."""
    groups = propose_protected(seen, target, protected)
    taken = {target, *(groups.value if groups else ())}
    key = _key(seen, taken)
    time = _time(seen, taken | set(key.value if key else ()))
    weight = _weight(seen, taken)
    ignored = _ignored(seen, {*taken, *(key.value if key else ())})
    personal = _personal(seen, {target, *(groups.value if groups else ())})
    found = [one for one in (groups, key, time, personal, weight, ignored) if one]
    missing = [one for one in _NONE if one.key not in {other.key for other in found}]
    return found + missing


def propose_protected(seen: Seen, target: str, given: Sequence[str] | None) -> Proposed | None:
    """Raises ProposalError for a given column that is not there."""
    like = [name for name in seen.columns if name != target and _is_protected(seen, name)]
    if given is not None:
        for name in given:
            refuse_unknown(seen, name, "protected column")
        others = [name for name in like if name not in given]
        more = f". By their names these might be, too: {listed(others)}" if others else ""
        return Proposed(key="roles.protected", value=tuple(given), confidence="given", why=f"as given{more}")
    bands = [name for name in like if says(name, AGE) and not _numeric(seen, name)]
    left = [name for name in like if bands and says(name, AGE) and _numeric(seen, name)]
    chosen = [name for name in like if name not in left]
    if not chosen:
        return None
    said = "; ".join(_group(seen, name) for name in chosen)
    said += f". {listed(left)} is left to {listed(bands)}" if left else ""
    return Proposed(key="roles.protected", value=tuple(chosen), confidence="medium", why=f"by their names: {said}")


def _is_protected(seen: Seen, name: str) -> bool:
    if not says(name, PROTECTED) or seen.distinct[name] < 2:
        return False
    return _numeric(seen, name) or seen.distinct[name] <= MANY


def _group(seen: Seen, name: str) -> str:
    """What the audit will see of it."""
    many = f"{seen.distinct[name]} groups"
    if _numeric(seen, name) and seen.distinct[name] > 10:
        many = "a number, of which the bias audit makes bands"
    return f"{name} ({many}{'; the model reads it' if name in seen.read else ''})"


def _numeric(seen: Seen, name: str) -> bool:
    return seen.table.column(name).type in ("integer", "number")


def _key(seen: Seen, taken: set[str]) -> Proposed | None:
    """The first column that has another value in every row, is not read by the model, and looks like a key."""
    unique = [name for name in seen.columns if name not in taken | seen.read and _identifies(seen, name)]
    named = [name for name in unique if says(name, KEY) and not says(name, ROW_NUMBER)]
    coded = [name for name in unique if seen.table.column(name).type == "text" and _codes(seen.frame[name])]
    chosen = (named or coded or [name for name in unique if says(name, KEY)])[:1]
    if not chosen:
        return None
    why = f"another value in every row ({seen.among})"
    return Proposed(key="roles.key", value=tuple(chosen), confidence="high" if named else "medium", why=why)


def _identifies(seen: Seen, name: str) -> bool:
    """A few repeated rows do not make a key less of one."""
    column = seen.table.column(name)
    filled = seen.frame[name].notna().all() and seen.distinct[name] >= 0.95 * len(seen.frame)
    return bool(column.type in ("integer", "text") and filled and not says(name, PERSONAL) and len(seen.frame) > 1)


def _codes(values: pd.Series[Any]) -> bool:
    """Codes such as L-0000123: few signs, a digit, no blank."""
    return bool(values.head(200).astype("str").str.fullmatch(r"(?=.*\d)[\w./-]{2,40}").all())


def _time(seen: Seen, taken: set[str]) -> Proposed | None:
    ranked = sorted(
        (name for name in seen.columns if name not in taken and _when(seen, name)),
        key=lambda name: -_eventful(seen, name),
    )
    if not ranked:
        return None
    best = ranked[0]
    sure = len(ranked) == 1 or _eventful(seen, best) > _eventful(seen, ranked[1])
    why = "it holds dates" + (f"; there are dates in {listed(ranked[1:])}, too" if ranked[1:] else "")
    return Proposed(key="roles.time", value=best, confidence="medium" if sure else "low", why=why)


def _when(seen: Seen, name: str) -> bool:
    if says(name, BIRTH) or seen.distinct[name] < 2:
        return False
    kind = seen.table.column(name).type
    if kind == "integer":
        # Seconds since 1970, between 2001 and 2065, under a name that says so.
        values = seen.frame[name].dropna()
        return says(name, TIME) and bool(values.between(1e9, 3e9).all())
    dates = kind == "text" and seen.frame[name].dropna().head(200).str.match(r"\d{4}-\d\d?-\d\d?([T ]|$)").all()
    return kind in ("date", "datetime") or bool(dates)


def _eventful(seen: Seen, name: str) -> float:
    gaps = float(seen.frame[name].isna().mean())
    return 2.0 * says(name, EVENT) + 1.0 * says(name, TIME) - 1.5 * (name in seen.read) - 4 * gaps


def _personal(seen: Seen, not_these: set[str]) -> Proposed | None:
    """Columns that hold personal data; their values are looked at and never shown."""
    found = {name: what for name in seen.columns if name not in not_these and (what := _holds(seen, name))}
    if not found:
        return None
    said = "; ".join(f"{name} ({what})" for name, what in found.items())
    read = [name for name in found if name in seen.read]
    said += f". The model reads {listed(read)}" if read else ". The model reads none of them" if seen.read else ""
    return Proposed(key="roles.personal", value=tuple(found), confidence="medium", why=f"by content and name: {said}")


def _holds(seen: Seen, name: str) -> str:
    from workbench.data.personal import SIGNS

    kind = seen.table.column(name).type
    if says(name, BIRTH) and seen.distinct[name] >= 10:
        return "birth dates"
    if kind not in ("text", "integer") or (name in seen.read and kind == "integer"):
        return ""
    values = [text for value in seen.frame[name].dropna().unique()[:2000] if (text := str(value).strip())]
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower())
    for sign in SIGNS:
        needed = (sign.named if re.search(sign.name, plain) else sign.share) * len(values)
        if len(values) >= sign.least and sum(map(sign.content, values)) >= max(1, needed):
            return sign.what
    return ""


def _weight(seen: Seen, taken: set[str]) -> Proposed | None:
    for name in seen.columns:
        named = name not in taken | seen.read and says(name, WEIGHT) and _numeric(seen, name)
        if named and bool((seen.frame[name].dropna() >= 0).all()):
            why = "sample weight, by its name: leave it out if rows count equally"
            return Proposed(key="roles.weight", value=name, confidence="low", why=why)
    return None


def _ignored(seen: Seen, taken: set[str]) -> Proposed | None:
    numbers = [name for name in seen.columns if name not in taken | seen.read and says(name, ROW_NUMBER)]
    rows = [name for name in numbers if _numeric(seen, name) and seen.distinct[name] >= 0.95 * len(seen.frame)]
    if not rows:
        return None
    return Proposed(key="roles.ignore", value=tuple(rows), confidence="high", why="row numbers that somebody saved")
