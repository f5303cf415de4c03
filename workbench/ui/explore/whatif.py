"""The what-if editor: one row, every cell of it to change, and what both models then answer, and why."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.checks.cases import said
from workbench.data import DataError
from workbench.evidence import Cell as Value
from workbench.evidence import Finding, Limit, Measure, Status, Table
from workbench.measure.case_kinds import kinds
from workbench.measure.fairness_groups import merge_rare, split
from workbench.models import ModelError
from workbench.scored import Side
from workbench.uat import Said
from workbench.ui.explore import cell
from workbench.ui.explore.live import SIDES, Live, Name, Reasons
from workbench.ui.listing import Listing

if TYPE_CHECKING:
    import pandas as pd

MOST, STATIC = 50, 5
"""Rows of each kind to start from, and how many of them a saved notebook lists."""
SHOWN = 6
"""Columns whose reasons are shown: those that weigh most, before or after."""
SLOW = 3.0
"""Seconds of waiting for reasons after which they are given on request only."""
ELSEWHERE = "The what-if editor asks both models live: open this notebook in JupyterLab to change a row and see."
AS_IT_IS, AS_EDITED = "as it is in the data", "as edited"
Answers = Mapping[Name, "Side | str"]


class WhatIf(cell.Cell):
    """Rows to start from, by place and never by content; in JupyterLab the row itself, to change.

    live: None where nobody may ask the models.
    """

    def __init__(self, live: Live | None, *, interactive: bool) -> None:
        self.live, self.interactive = live, interactive and live is not None
        self.problem, self._class = "" if live else ELSEWHERE, -1
        try:
            self.starts = _starts(live) if live else {}
        except (ModelError, DataError) as error:
            self.starts, self.problem, self.interactive = {}, str(error), False

    @property
    def pair(self) -> Live:
        assert self.live is not None
        return self.live

    def row(self, place: int) -> pd.DataFrame:
        """The row at a place among the scored ones."""
        return self.pair.scored.frame.iloc[[place]]

    def find(self, key: str) -> int:
        """Where the row with this key is. Raises ValueError where there is none, or no key is declared."""
        names = [name for name in self.pair.migration.roles.key if name in self.pair.scored.frame.columns]
        if not names:
            raise ValueError("no key is declared: name the columns that identify a row under roles.key")
        for name in names:
            found = np.flatnonzero((self.pair.scored.frame[name].astype(str) == key.strip()).to_numpy())
            if len(found):
                return int(found[0])
        raise ValueError(f"no scored row has {' or '.join(names)} = {key.strip()!r}: {self._scored_of()}")

    def _scored_of(self) -> str:
        scored = self.pair.scored
        return f"{len(scored):,} of the holdout's {scored.total:,} rows are scored"

    def answers(self, row: pd.DataFrame) -> Answers:
        return self.pair.ask(row)

    def html(self, before: Answers, after: Answers) -> str:
        """Both rows' answers by both models: the difference, and on which side of the threshold each is."""
        from workbench.render.explore import explored

        task, self._class = self.pair.migration.task, self._followed(before)
        findings = [
            self._answered(title, answers)
            for title, answers in ((AS_EDITED, after), (AS_IT_IS, before))
            if any(isinstance(one, Side) for one in answers.values())
        ]
        wrong = [f"The {side} model: {one}." for side, one in after.items() if isinstance(one, str)]
        note = (
            f"The green band is where a row is selected: a score from {task.threshold:g} on."
            if task.kind == "binary"
            else ""
        )
        return explored("", findings, (self._table(before, after),), " ".join([*wrong, note]))

    def why(self, before: pd.DataFrame, after: pd.DataFrame) -> str:
        """The reasons of both models, as the row was and as it is now."""
        from workbench.render.explore import explored

        found = self.pair.reasons(_stacked(before, after))
        told = {side: one for side, one in found.items() if isinstance(one, Reasons)}
        wrong = " ".join(
            f"The {side} model gives no reasons: {one}." for side, one in found.items() if side not in told
        )
        if not told:
            return explored("", (), (), wrong)
        space = next(iter(told.values())).space
        note = f"Shapley values in {space}, against {self.background:,} rows of the holdout. {wrong}"
        return explored("", (), (_reasons(told, self._hidden),), note)

    @property
    def background(self) -> int:
        from workbench.ui.explore.live import sampled

        return len(sampled(self.pair.scored.frame))

    @cached_property
    def _hidden(self) -> frozenset[str]:
        roles = self.pair.migration.roles
        return frozenset((*roles.personal, *roles.key))

    def _answered(self, title: str, answers: Answers) -> Finding:
        task = self.pair.migration.task
        known = {side: one for side, one in answers.items() if isinstance(one, Side)}
        words = {side: self._said(one).answer for side, one in known.items()}
        unit = "share" if task.kind == "binary" else ""
        measures = {
            side: Measure(value=score, unit=unit)
            for side, one in known.items()
            if (score := self._said(one).score) is not None
        }
        together = f"both: {next(iter(words.values()))}" if len(set(words.values())) == 1 and len(words) == 2 else ""
        parted = len(set(words.values())) > 1 and task.kind != "regression"
        return Finding(
            id="parity/what-if",
            title=title.capitalize(),
            subject=together or "; ".join(f"{side}: {word}" for side, word in words.items()),
            status=Status.WARN if parted else Status.INFO,
            legacy=measures.get("legacy"),
            candidate=measures.get("candidate"),
            judged="candidate" if "candidate" in measures else "legacy" if measures else None,
            limit=Limit(value=task.threshold, better="higher", set_by="task.threshold")
            if task.kind == "binary"
            else None,
        )

    def _said(self, side: Side) -> Said:
        told = said(self.pair.scored, side, 0)
        if self._class < 0 or side.outputs.scores is None:
            return told
        return told.model_copy(update={"score": float(side.outputs.scores[0, self._class])})

    def _followed(self, before: Answers) -> int:
        """Of several classes the one whose probability is followed: what the row is said to be as it is; else -1."""
        if self.pair.migration.task.kind != "multiclass":
            return -1
        told = [one.decision for one in before.values() if isinstance(one, Side) and one.decision is not None]
        return int(told[0][0]) if told else -1

    def _table(self, before: Answers, after: Answers) -> Table:
        rows: list[tuple[Value, ...]] = []
        scores = {}
        for title, answers in ((AS_IT_IS, before), (AS_EDITED, after)):
            told = {side: self._said(one) for side, one in answers.items() if isinstance(one, Side)}
            numbers = [told[side].score if side in told else None for side in SIDES]
            scores[title] = numbers
            words = [told[side].answer if side in told else None for side in SIDES]
            rows.append((title, words[0], words[1], *numbers, _less(numbers[1], numbers[0]), *self._beyond(numbers)))
        moved = [_less(after, before) for before, after in zip(scores[AS_IT_IS], scores[AS_EDITED], strict=True)]
        rows.append(("change by the edit", None, None, *moved, _less(moved[1], moved[0])))
        beyond = ("legacy - threshold", "candidate - threshold") if self._binary else ()
        named = _numbers(self.pair)
        if self._class >= 0:
            label = self.pair.scored.classes[self._class]
            named = (f"legacy, P({label})", f"candidate, P({label})")
        columns = ("row", "legacy", "candidate", *named, "candidate - legacy", *beyond)
        filled = tuple((*row, *[None] * (len(columns) - len(row))) for row in rows)
        return Table(title="What both models answer", columns=columns, rows=filled)

    @property
    def _binary(self) -> bool:
        return self.pair.migration.task.kind == "binary"

    def _beyond(self, scores: list[float | None]) -> list[float | None]:
        """How far past the threshold: near it, a score alone does not say on which side it is."""
        return [_less(score, self.pair.migration.task.threshold) for score in scores] if self._binary else []

    def __repr__(self) -> str:
        return self.problem or repr(Listing(self._listed()))

    def _repr_html_(self) -> str:
        from workbench.render.explore import explored

        return cell.paragraph(self.problem) if self.problem else explored("", (), (self._listed(),), ELSEWHERE)

    def _listed(self) -> Table:
        return listed(self.pair, self.starts, STATIC)

    def widget(self) -> Any:
        from workbench.ui.explore.editor import Editor

        return Editor(self).widget

    def timed(self, before: pd.DataFrame, after: pd.DataFrame) -> tuple[str, float]:
        """The reasons, and the seconds they took."""
        start = time.monotonic()
        return self.why(before, after), time.monotonic() - start


def _starts(live: Live) -> dict[str, list[int]]:
    """Rows worth starting from, by kind."""
    found = kinds(len(live.scored), MOST, **looked_at(live))
    return {kind: [int(place) for place in places] for kind, places in found.items()}


def looked_at(live: Live) -> dict[str, Any]:
    """What `kinds` asks of the scored pair."""
    scored = live.scored
    before, after = _number(scored.legacy), _number(scored.candidate)
    sides = (scored.legacy.decision, scored.candidate.decision if scored.candidate else None)
    both = sides[0] is not None and sides[1] is not None
    binary = scored.task.kind == "binary"
    return {
        "distance": np.abs(before - scored.task.threshold) if before is not None and binary else None,
        "change": after - before if before is not None and after is not None else None,
        "flipped": np.asarray(sides[0] != sides[1]) if both else None,
        "groups": {name: _names(scored.frame[name]) for name in scored.roles.protected if name in scored.frame},
    }


def _names(column: pd.Series) -> np.ndarray:
    """Each row's group; a value of few rows could name a person, and is one of the few."""
    found = merge_rare(split(column))
    return np.array(found.labels, dtype=object)[found.codes]


def _number(side: Side | None) -> np.ndarray | None:
    return None if side is None else side.value if side.value is not None else side.score


def listed(live: Live, starts: Mapping[str, list[int]], most: int) -> Table:
    """Rows by place, never by content, with what both models say of them."""
    rows: list[tuple[Value, ...]] = []
    for kind, places in starts.items():
        rows += [(kind, place, *_both(live, place)) for place in places[:most]]
    columns = ("why", "row", "legacy", "candidate", *_numbers(live))
    return Table(title="Rows to look at, by their place among the scored ones", columns=columns, rows=tuple(rows))


def _numbers(live: Live) -> tuple[str, str]:
    """What the two columns of numbers are called."""
    what = "value" if live.migration.task.kind == "regression" else "score"
    return f"legacy {what}", f"candidate {what}"


def _both(live: Live, place: int) -> Iterator[Value]:
    scored = live.scored
    told = [said(scored, side, place) if side else None for side in (scored.legacy, scored.candidate)]
    yield from (one.answer if one else None for one in told)
    yield from (one.score if one else None for one in told)


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _stacked(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([before, after], ignore_index=True)


def _reasons(told: Mapping[Any, Reasons], hidden: frozenset[str]) -> Table:
    """The columns that weigh most on any side, before or after."""
    features = next(iter(told.values())).features
    weights = np.max([np.abs(np.array(one.values)).max(axis=0) for one in told.values()], axis=0)
    order = np.argsort(-weights, kind="stable")[:SHOWN]
    columns = ["column"]
    for side in told:
        columns += [f"{side}, {AS_IT_IS}", f"{side}, {AS_EDITED}"]
    rows = tuple(
        (
            "(personal column)" if features[j] in hidden else features[j],
            *(row[j] for one in told.values() for row in one.values),
        )
        for j in order
    )
    return Table(title="Why: what each column adds to the answer", columns=tuple(columns), rows=rows)
