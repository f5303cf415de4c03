"""A table in a cell: its numbers said as everywhere, its text kept text, and readable where no HTML is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workbench.evidence import Cell, Table

_MARKS = frozenset("\\`*_{}[]()<>#+!|~$&")


class Listing:
    """What a cell displays for one table. `table` holds the plain values, to go on with.

    as_text: columns as wide as their words need (Markdown), for tables of sentences; else numbers in columns.
    """

    def __init__(self, table: Table, as_text: bool = False) -> None:
        self.table, self.as_text = table, as_text

    @classmethod
    def of(cls, columns: tuple[str, ...], rows: Iterable[Mapping[str, Cell]], title: str = "") -> Listing:
        lines = tuple(tuple(row[name] for name in columns) for row in rows)
        return cls(Table(title=title, columns=columns, rows=lines), as_text=True)

    def __len__(self) -> int:
        return len(self.table.rows)

    def _html(self) -> str:
        from workbench.render import place, view

        numbers = view.grid(self.table)
        return place.environment().get_template("numbers.html.j2").render(numbers=numbers)

    def _markdown(self) -> str:
        from workbench.render import view

        grid = view.grid(self.table)
        lines = [grid.columns, ("---",) * len(grid.columns), *(map(literal, row) for row in grid.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        if not len(self):
            return {"text/plain": repr(self)}
        drawn = {"text/markdown": self._markdown()} if self.as_text else {"text/html": self._html()}
        return {**drawn, "text/plain": repr(self)}

    def __repr__(self) -> str:
        if not len(self):
            return "Nothing."
        from workbench.render import view

        grid = view.grid(self.table)
        lines = [grid.columns, *grid.rows]
        widths = [max(len(line[at]) for line in lines) for at in range(len(grid.columns))]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        return "\n".join([grid.title, *text] if grid.title else text)


def literal(text: str) -> str:
    """Text that Markdown shows as it is: a value must not become a link, a formula or HTML."""
    return "".join(f"\\{char}" if char in _MARKS else char for char in text)
