"""Category variants: one category written in several ways (case, space, accents, a slip of the pen)."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from workbench.data.disguised import DOUBTFUL, WORDS
from workbench.data.profile import Facts, Profile
from workbench.data.trouble import MIN_CELL, Trouble, values_table, worst

FREQUENT = 20
"""A misspelt value is this many times rarer than the one it stands for."""
TYPED = 500
"""Distinct values among which slips are looked for; beyond that only case, space and accents are."""


def variants(
    profiles: Sequence[Profile], names: Iterable[str], personal: frozenset[str] = frozenset()
) -> Iterator[Trouble]:
    """One trouble per column: rows whose spelling is not the usual one of its category, over all tables together."""
    for name in names:
        found = {p.name: p.facts[name] for p in profiles if name in p.facts and p.facts[name].column.type == "text"}
        spellings = _together(found.values())
        groups = merge(spellings) if any(_categorical(facts) for facts in found.values()) else {}
        if not groups:
            continue
        strays = {stray: usual for usual, others in groups.items() for stray in others}
        counts = {p: (sum(n for value, n in f.values if value in strays), f.rows) for p, f in found.items()}
        rows = sorted(((stray, spellings[stray]) for stray in strays), key=lambda row: -row[1])
        table = values_table("Unusual spellings", rows, name in personal)
        title = "A category is spelt in several ways in {where}"
        if trouble := worst("category-variants", name, counts, title, _fix(name, strays, spellings, personal), [table]):
            yield trouble


def _categorical(facts: Facts) -> bool:
    """Values repeat: free text and identifiers have no categories."""
    return facts.present > 0 and facts.distinct <= max(20, facts.present / 5)


def _together(found: Iterable[Facts]) -> Counter[str]:
    total: Counter[str] = Counter()
    for facts in found:
        total.update(dict(facts.values))
    return total


def _fix(name: str, strays: dict[str, str], spellings: Counter[str], personal: frozenset[str]) -> str:
    shown = {stray: usual for stray, usual in strays.items() if min(spellings[stray], spellings[usual]) >= MIN_CELL}
    if not shown or name in personal:
        return f"frame[{name!r}] = frame[{name!r}].str.normalize('NFKC').str.strip().str.casefold()"
    return f"frame[{name!r}] = frame[{name!r}].replace({shown!r})"


def merge(spellings: Counter[str]) -> dict[str, list[str]]:
    """By usual spelling the unusual ones: equal after folding case, spaces, accents and punctuation, or one letter (two
    in long words) from a spelling at least `FREQUENT` times as common. Digits are never a slip: A11 is not A12.
    """
    by_key: dict[str, list[str]] = defaultdict(list)
    for value, _ in spellings.most_common():
        if value.strip().casefold() not in WORDS | DOUBTFUL:
            by_key[fold(value)].append(value)
    groups = {values[0]: values[1:] for key, values in by_key.items() if key}
    if len(groups) <= TYPED:
        totals = {usual: sum(spellings[value] for value in (usual, *others)) for usual, others in groups.items()}
        for rare, usual in _slips(totals).items():
            groups[usual] += [rare, *groups.pop(rare)]
    return {usual: others for usual, others in groups.items() if others}


def fold(value: str) -> str:
    """Lower case, without accents, with one space for every run of spaces and separators."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", value) if not unicodedata.combining(c))
    return re.sub(r"[\s_.\-]+", " ", plain.casefold()).strip()


def _slips(totals: dict[str, int]) -> dict[str, str]:
    """Rare spelling → the frequent one it is a slip of."""
    found: dict[str, str] = {}
    ranked = sorted(totals, key=lambda value: -totals[value])
    for rare in reversed(ranked):
        allowed = _allowed(fold(rare))
        candidates = (usual for usual in ranked if totals[usual] >= FREQUENT * totals[rare] and usual not in found)
        usual = next((usual for usual in candidates if allowed and _slip(fold(rare), fold(usual), allowed)), None)
        if usual is not None:
            found[rare] = usual
    return found


def _allowed(word: str) -> int:
    return 0 if len(word) < 5 else 1 if len(word) < 10 else 2


def _slip(rare: str, usual: str, allowed: int) -> bool:
    if abs(len(rare) - len(usual)) > allowed or re.findall(r"\d+", rare) != re.findall(r"\d+", usual):
        return False
    return edit_distance(rare, usual, allowed) <= allowed


def edit_distance(first: str, second: str, most: int) -> int:
    """Optimal string alignment distance (Damerau 1964, Levenshtein 1966), or `most` + 1 once it is larger than that."""
    before: list[int] = []
    last = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        row = [i]
        for j, b in enumerate(second, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before, last = last, row
    return last[-1]
