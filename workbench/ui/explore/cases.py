"""The case explorer: rows of every kind worth looking at, what both models say of each, and why, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.checks.cases import case, said
from workbench.data import DataError
from workbench.evidence import Cell as Value
from workbench.evidence import Table
from workbench.measure.case_kinds import kinds
from workbench.models import ModelError
from workbench.ui.explore import cell
from workbench.ui.explore.live import SIDES, Live
from workbench.ui.explore.whatif import listed, looked_at
from workbench.ui.listing import Listing

if TYPE_CHECKING:
    import pandas as pd

MOST, PAGE, STATIC = 200, 10, 3
"""Rows of each kind, on a page, and of each kind in a saved notebook."""
CODES = "reasons.parquet"
BLIND = "Single cases are judged blind, in `workbench review`: which model said what of them is not shown here."
UNTOLD = "no reasons are stored for this row: 52_explainability explains a sample of the rows"


class Cases(cell.Cell):
    """live: None where single cases are not to be seen. codes: the file of reasons beside 52's evidence, if there.

    only: just the rows whose reasons are known.
    """

    def __init__(self, live: Live | None, codes: Path | None, *, interactive: bool, only: bool = False) -> None:
        self.live, self.interactive = live, interactive and live is not None
        self.problem = "" if live else BLIND
        self.reasons = _reasons(codes)
        self.kinds: dict[str, list[int]] = {}
        try:
            self.kinds = self._kinds(only) if live else {}
        except (ModelError, DataError) as error:
            self.problem, self.interactive = str(error), False

    @property
    def pair(self) -> Live:
        assert self.live is not None
        return self.live

    def _kinds(self, only: bool) -> dict[str, list[int]]:
        asked = looked_at(self.pair)
        rows = len(self.pair.scored)
        if not (only and self.reasons is not None):
            return {kind: places.tolist() for kind, places in kinds(rows, MOST, **asked).items()}
        known = self.reasons.index.to_numpy()
        groups = {name: values[known] for name, values in asked.pop("groups").items()}
        few: dict[str, Any] = {name: None if values is None else values[known] for name, values in asked.items()}
        return {kind: known[at].tolist() for kind, at in kinds(len(known), MOST, groups=groups, **few).items()}

    def page(self, kind: str, number: int = 1, wanted: str = "") -> tuple[Table, list[int], int]:
        """A page of a kind's rows, where they are, and how many pages there are. wanted: only rows in whose line, or
        leading reasons, these letters are."""
        chosen = [place for place in self.kinds[kind] if wanted.casefold() in self._line(place).casefold()]
        pages = max(1, -(-len(chosen) // PAGE))
        start = (min(max(number, 1), pages) - 1) * PAGE
        places = chosen[start : start + PAGE]
        table = listed(self.pair, {kind: places}, PAGE)
        sides = SIDES if self.reasons is not None else ()
        extra = tuple((*row, *(self._leading(side, place) for side in sides)) for row, place in zip(table.rows, places))
        columns = (*table.columns, *(f"leading reason, {side}" for side in sides))
        made = Table(title=f"{len(chosen):,} rows: {kind}", columns=columns[1:], rows=tuple(row[1:] for row in extra))
        return made, places, pages

    def one(self, place: int) -> tuple[Table, Table]:
        """A row as it may be seen, and why both models answer as they do."""
        scored = self.pair.scored
        seen = case(scored, scored.candidate or scored.legacy, place, "")
        values = tuple((name, value) for name, value in seen.shown.items())
        shown = Table(title=f"Row {place:,}", columns=("column", "value"), rows=values)
        return shown, Table(title="Why, by both models", columns=_REASONS, rows=tuple(self._ranked(place)))

    def _ranked(self, place: int) -> list[tuple[Value, ...]]:
        if self.reasons is None or place not in self.reasons.index:
            return []
        row = self.reasons.loc[place]
        ranks = sorted({int(name.rsplit(" ", 1)[1]) for name in row.index if " reason " in name})
        names = [f"{side} {what}" for side in SIDES for what in ("reason", "contribution")]
        return [(rank, *(_plain(row.get(f"{name} {rank}")) for name in names)) for rank in ranks]

    def _leading(self, side: str, place: int) -> str | None:
        if self.reasons is None or place not in self.reasons.index:
            return None
        name = f"{side} reason 1"
        return str(self.reasons.loc[place, name]) if name in self.reasons.columns else None

    def _line(self, place: int) -> str:
        scored = self.pair.scored
        told = [said(scored, side, place).answer for side in (scored.legacy, scored.candidate) if side]
        reasons = [str(value) for line in self._ranked(place) for value in (line[1], line[3])]
        return " ".join([f"row {place}", *told, *reasons])

    def html(self, place: int) -> str:
        from workbench.render.explore import explored

        shown, why = self.one(place)
        return explored("", (), (why, shown), "" if why.rows else f"There are {UNTOLD}.")

    def __repr__(self) -> str:
        return self.problem or "\n\n".join(repr(Listing(self._first(kind))) for kind in self.kinds)

    def _repr_html_(self) -> str:
        from workbench.render.explore import explored

        return cell.paragraph(self.problem) if self.problem else explored("", (), tuple(map(self._first, self.kinds)))

    def _first(self, kind: str) -> Table:
        table = self.page(kind)[0]
        return table.model_copy(update={"rows": table.rows[:STATIC]})

    def widget(self) -> Any:
        """Kind, filter and page; the rows of it; and one of them in full."""
        import ipywidgets

        from workbench.render.explore import explored

        look: dict[str, Any] = {"style": cell.WIDE, "layout": cell.FIELD}
        named = [(f"{kind} ({len(places):,})", kind) for kind, places in self.kinds.items()]
        kind = ipywidgets.Dropdown(options=named, description="which rows", **look)
        wanted = ipywidgets.Text(description="only with", placeholder="an answer or a reason", **look)
        number = ipywidgets.BoundedIntText(value=1, min=1, max=1, description="page", **look)
        place = ipywidgets.Dropdown(description="look at", **look)
        rows, full = ipywidgets.HTML(), ipywidgets.HTML()

        def draw(_: object = None) -> None:
            table, places, pages = self.page(kind.value, number.value, wanted.value)
            number.max = pages
            rows.value = explored("", (), (table,), f"Page {number.value} of {pages}.")
            place.options = [(f"row {one:,}", one) for one in places]
            place.value = places[0] if places else None
            look_at()

        def look_at(_: object = None) -> None:
            full.value = "" if place.value is None else self.html(place.value)

        def anew(_: object = None) -> None:
            number.value = 1
            draw()

        kind.observe(anew, "value")
        wanted.observe(anew, "value")
        number.observe(draw, "value")
        place.observe(look_at, "value")
        draw()
        return ipywidgets.VBox([kind, wanted, number, rows, place, full])


_REASONS = ("rank", "legacy reason", "legacy contribution", "candidate reason", "candidate contribution")


def _plain(value: Any) -> Value:
    return None if value is None else str(value) if isinstance(value, str) else float(value)


def _reasons(codes: Path | None) -> pd.DataFrame | None:
    """The stored reason codes by row."""
    if codes is None or not codes.is_file():
        return None
    import pandas as pd

    return pd.read_parquet(codes).set_index("row")
