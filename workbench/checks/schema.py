"""The table against what the model asks for: columns it lacks, values it cannot read, categories it never saw."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from workbench.data.names import listed, shown
from workbench.data.profile import Profile
from workbench.data.trouble import Trouble, code, values_table, worst
from workbench.evidence import Cell, Detail, Measure, Table
from workbench.models.protocol import Input


def lacking(p: Profile, inputs: Sequence[Input]) -> Trouble | None:
    """Columns the model reads and the table does not have, both sides named."""
    missing = [each.name for each in inputs if each.name not in p.facts]
    if not missing:
        return None
    renames = {near: name for name in missing if (near := _near(name, p, inputs))}
    fix = f"frame = frame.rename(columns={renames!r})" if renames else f"frame[{missing[:10]!r}]  # add these columns"
    rows = tuple((each.name, each.kind, _has(each.name, p), _near(each.name, p, inputs)) for each in inputs)
    columns = ("the model reads", "as", f"the {p.name} has", "nearest unused column")
    table = Table(title="Model and data, column by column", columns=columns, rows=rows)
    title = f"The {p.name} lacks {listed(missing)}, which the model reads; it has {listed(list(p.facts), 8)}"
    measure = Measure(value=len(missing), n=len(inputs), unit="columns")
    return Trouble("schema", p.name, title, fix=fix, details=(table, code(fix)), measure=measure)


def undeclared(p: Profile, named: Sequence[tuple[str, str]]) -> Iterator[Trouble]:
    """Columns migration.yaml names, as (role, name), that the table does not have."""
    for role, name in dict.fromkeys(named):
        if name not in p.facts:
            near = difflib.get_close_matches(name, list(p.facts), n=1)
            hint = f"did you mean {shown(near[0])}?" if near else f"it has {listed(list(p.facts), 8)}"
            title = f"migration.yaml names {shown(name)} as {role}; the {p.name} has no such column: {hint}"
            fix = f"Correct {role} in migration.yaml, or add the column {shown(name)} to the {p.name}."
            yield Trouble("schema", name, title, fix=fix, measure=Measure(value=1, unit="columns"))


def _has(name: str, p: Profile) -> Cell:
    return p.facts[name].column.type if name in p.facts else "no such column"


def _near(name: str, p: Profile, inputs: Sequence[Input]) -> str:
    """The unused column that is most alike, whatever its case, or ""."""
    if name in p.facts:
        return ""
    used = {each.name for each in inputs}
    free = {column.casefold().replace(" ", "_"): column for column in p.facts if column not in used}
    close = difflib.get_close_matches(name.casefold().replace(" ", "_"), free, n=1, cutoff=0.75)
    return free[close[0]] if close else ""


def unreadable(profiles: Sequence[Profile], inputs: Sequence[Input]) -> Iterator[Trouble]:
    """Columns the model reads as numbers and the table holds as text, by how many values are no numbers."""
    for name in (each.name for each in inputs if each.kind == "number"):
        counts: dict[str, tuple[int, int]] = {}
        for p in profiles:
            if name in p.facts and (facts := p.facts[name]).column.type == "text":
                counts[p.name] = (facts.present - (facts.forms or {}).get("number", 0), facts.rows)
        fix = f"frame[{name!r}] = pandas.to_numeric(frame[{name!r}], errors='coerce')"
        title = "The model reads a number, and values in {where} are none"
        if trouble := worst("input-type", name, counts, title, fix):
            yield trouble


def unseen(profiles: Sequence[Profile], inputs: Sequence[Input], personal: frozenset[str]) -> Iterator[Trouble]:
    """Values that the model has no category for; it answers for them as for an unknown one."""
    for each in (given for given in inputs if given.categories):
        known = {_plain(value) for value in each.categories}
        counts: dict[str, tuple[int, int]] = {}
        strange: dict[str, int] = {}
        for p in profiles:
            if each.name in p.facts and p.facts[each.name].values:
                new = {value: n for value, n in p.facts[each.name].values if _plain(value) not in known}
                counts[p.name] = (sum(new.values()), p.rows)
                strange |= {value: strange.get(value, 0) + n for value, n in new.items()}
        ranked = sorted(strange.items(), key=lambda item: -item[1])
        details: list[Detail] = [values_table("Values the model does not know", ranked, each.name in personal)]
        column = f"frame[{each.name!r}]"
        fix = f"known = {[str(v) for v in each.categories[:20]]!r}\n{column}[~{column}.isin(known)].value_counts()"
        title = "Values in {where} are no category the model knows"
        if trouble := worst("unseen-categories", each.name, counts, title, fix, details):
            yield trouble


def _plain(value: object) -> str:
    text = str(value)
    return {"True": "true", "False": "false"}.get(text, text)


def read_notes(p: Profile) -> Trouble | None:
    """What was noticed while reading the files."""
    notes = p.table.notes
    if not notes:
        return None
    title = f"Reading the {p.name} took {len(notes)} {'decision' if len(notes) == 1 else 'decisions'}"
    rows = tuple((note,) for note in notes[:20])
    table = Table(title="Decisions", columns=("what was seen and done",), rows=rows)
    measure = Measure(value=len(notes), unit="decisions")
    return Trouble("reading", p.name, title, details=(table,), measure=measure)
