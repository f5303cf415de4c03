"""The what-if editor's widgets: where the row comes from, a control for each of its cells, and the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.models import Label
from workbench.ui.explore import cell
from workbench.ui.explore.fields import Field, edited

if TYPE_CHECKING:
    import pandas as pd

    from workbench.ui.explore.whatif import Answers, WhatIf

ASKING = "Asking ..."
MOST_FIELDS = 100
"""Columns that can be changed at once: more controls than that hold a browser up."""
TOO_SLOW = "Reasons took {:.0f} s: press Reasons to ask for them again."


class Editor:
    """One row in controls. Every change asks both models; reasons follow, while they come quickly."""

    def __init__(self, asked: WhatIf) -> None:
        import ipywidgets

        self.asked = asked
        self.wrong = asked.pair.open()
        scored = asked.pair.scored
        roles = asked.pair.migration.roles
        known = self._known()
        self.fields = {
            name: Field(
                name, scored.frame[name], known=known.get(name, ()), hidden=name in (*roles.personal, *roles.key)
            )
            for name in asked.pair.features[:MOST_FIELDS]
        }
        self.kind = ipywidgets.Dropdown(
            options=list(asked.starts), description="start from", style=cell.WIDE, layout=cell.FIELD
        )
        self.place = ipywidgets.Dropdown(description="row", style=cell.WIDE, layout=cell.FIELD)
        look: dict[str, Any] = {"style": cell.WIDE, "layout": cell.FIELD, "disabled": not roles.key}
        placeholder = "or the key of a row, then Enter" if roles.key else "roles.key names no column"
        name = ", ".join(roles.key) or "key"
        self.key = ipywidgets.Text(description=name, placeholder=placeholder, continuous_update=False, **look)
        undone = {"description": "Undo all changes", "icon": "undo", "tooltip": "the row as it is in the data"}
        self.back = ipywidgets.Button(**undone, layout={"width": "auto"})
        self.ask_why = ipywidgets.ToggleButton(value=True, description="Reasons", tooltip="ask both models why, too")
        self.said = ipywidgets.HTML()
        self.shown, self.reasons = ipywidgets.HTML(), ipywidgets.HTML()
        self._quiet, self._slow = False, 0
        self._watch()
        self.base: pd.DataFrame = scored.frame.iloc[[0]]
        self.before: Answers = {}
        self._offer()
        self.widget = ipywidgets.VBox([
            ipywidgets.GridBox([self.kind, self.place, self.key], layout=_grid(330)),
            ipywidgets.GridBox([field.widget for field in self.fields.values()], layout=_grid(420)),
            ipywidgets.HBox([self.back, self.ask_why]), self.said, self.shown, self.reasons,
        ])  # fmt: skip

    def start(self, place: int) -> None:
        """Takes up a row of the data."""
        self.base = self.asked.row(place)
        self.before = self.asked.answers(self.base)
        self._put()
        self.draw()

    def draw(self, _: object = None) -> None:
        """Asks both models about the row as it now is."""
        if self._quiet:
            return
        try:
            row = self.row()
        except ValueError as error:
            self.said.value = cell.paragraph(f"{error}.")
            return
        told = [f"{why}." for why in self.wrong.values()]
        if len(self.asked.pair.features) > MOST_FIELDS:
            told.append(f"{MOST_FIELDS} of {len(self.asked.pair.features):,} columns can be changed here.")
        self.said.value = cell.paragraph(" ".join(told)) if told else ""
        self.shown.value = self.asked.html(self.before, self.asked.answers(row))
        self._explain(row)

    def row(self) -> pd.DataFrame:
        """The row as the controls say. Raises ValueError for a value that its column does not take."""
        return edited(
            self.base,
            {name: value for name, field in self.fields.items() if self._differs(name, value := field.read())},
        )

    def _differs(self, name: str, value: Any) -> bool:
        import pandas as pd

        own = self.base[name].iloc[0]
        if value is None or pd.isna(own):
            return (value is None) != bool(pd.isna(own))
        return bool(value != own)

    def _known(self) -> dict[str, tuple[Label, ...]]:
        """The categories that the models know, by column."""
        found: dict[str, tuple[Label, ...]] = {}
        for side in (side for side in self.asked.pair.sources if side not in self.wrong):
            for read in self.asked.pair.model(side).inputs:
                found[read.name] = (*found.get(read.name, ()), *read.categories)
        return found

    def _explain(self, row: pd.DataFrame) -> None:
        if not self.ask_why.value or len(self.wrong) == len(self.asked.pair.sources):
            self.reasons.value = ""
            return
        from workbench.ui.explore.whatif import SLOW

        self.reasons.value = cell.paragraph(ASKING)
        self.reasons.value, seconds = self.asked.timed(self.base, row)
        # The first time counts for nothing: libraries load then.
        self._slow = self._slow + 1 if seconds > SLOW else 0
        if self._slow > 1:
            self._quiet, self.ask_why.value, self._slow = True, False, 0
            self._quiet = False
            self.said.value = cell.paragraph(TOO_SLOW.format(seconds))

    def _put(self, _: object = None) -> None:
        self._quiet = True
        for name, field in self.fields.items():
            field.put(self.base[name].iloc[0])
        self._quiet = False

    def _undo(self, _: object) -> None:
        self._put()
        self.draw()

    def _offer(self, _: object = None) -> None:
        places = self.asked.starts.get(self.kind.value, [])
        self.place.options = [(f"row {place:,}", place) for place in places]
        if places:
            self.place.value = places[0]

    def _taken(self, change: Any) -> None:
        if change["new"] is not None:
            self.start(change["new"])

    def _found(self, change: Any) -> None:
        if change["new"]:
            try:
                self.start(self.asked.find(change["new"]))
            except ValueError as error:
                self.said.value = cell.paragraph(f"{error}.")

    def _watch(self) -> None:
        self.kind.observe(self._offer, "value")
        self.place.observe(self._taken, "value")
        self.key.observe(self._found, "value")
        self.ask_why.observe(self.draw, "value")
        self.back.on_click(self._undo)
        for field in self.fields.values():
            field.watch(self.draw)


def _grid(least: int) -> dict[str, str]:
    return {"grid_template_columns": f"repeat(auto-fill, minmax({least}px, 1fr))", "grid_gap": "0 12px"}
