"""The calculator: what a stream of requests needs of each model, in time, machines and money, from timed answers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.audit import measured
from workbench.evidence import Evidence, Finding, Measure, Status, Table
from workbench.measure.intervals import Estimate
from workbench.ui.explore import cell
from workbench.ui.listing import Listing

if TYPE_CHECKING:
    from workbench.measure.speed.capacity import Need, Service, Wish

Side = Literal["legacy", "candidate"]
SIDES: tuple[Side, Side] = ("legacy", "candidate")
SAMPLES = "samples.parquet"
METHOD = "queues of the timed answers, bootstrap over rounds"
NOTHING = "There are no timed answers to reckon with: the findings above say why. Run this notebook on a quiet machine."
ASSUMED = (
    "Requests come at random and are dealt out at random, each process works on one at a time, and the machines are as "
    "fast as the one that was timed. The network, and what else a service does for a request, comes on top."
)
WHOLE = "machines"
FIGURES: tuple[tuple[str, str, str], ...] = (
    ("machines", "Machines", WHOLE),
    ("p50", "Half of the answers within", "ms"),
    ("p99", "99 of 100 answers within", "ms"),
    ("month", "Cost of a month", "{currency}"),
    ("million", "Cost of a million predictions", "{currency}"),
)


class Machines(cell.Cell):
    """Machines, times and cost of both models. samples: the file of timed answers beside the evidence, if there."""

    def __init__(self, evidence: Evidence, samples: Path | None, *, interactive: bool, **wished: Any) -> None:
        self.interactive = interactive
        self.params = evidence.params
        self.currency = str(self.params.get("currency", "EUR"))
        self._services: dict[tuple[str, Side], Service] = {}
        self.frame = _read(samples)
        self.wished = wished

    @cached_property
    def scenarios(self) -> tuple[str, ...]:
        """Scenarios in which both models were timed, one row at a time first."""
        if self.frame is None:
            return ()
        sides = self.frame.groupby("scenario", observed=True)["side"].agg(set)
        return tuple(sorted((str(name) for name, seen in sides.items() if set(SIDES) <= seen), key=rows_of))

    def service(self, scenario: str, side: Side) -> Service:
        from workbench.measure.speed.capacity import Service, blocks

        if (scenario, side) not in self._services:
            assert self.frame is not None
            self._services[scenario, side] = Service(blocks(self.frame, scenario, side))
        return self._services[scenario, side]

    def first(self, scenario: str) -> Wish:
        """What is reckoned before anybody wished: what one legacy process can just about do, and the price known."""
        from workbench.measure.speed.capacity import Wish

        typical = float(self.service(scenario, "legacy").takes[0].mean())
        level = self.params.get("service_level_ms")
        price = self.params.get("price_per_hour")
        return Wish(
            per_second=_round(5 / typical),
            level=float(level) / 1e3 if isinstance(level, int | float) else _round(10 * typical),
            rows=rows_of(scenario),
            price=float(price) if isinstance(price, int | float) else math.nan,
        )._replace(**self.wished)

    def findings(self, scenario: str, wish: Wish) -> Iterator[Finding]:
        """A finding for each figure. Raises ValueError for a wish that cannot be."""
        from workbench.measure.speed.capacity import change, needed

        pair = [needed(self.service(scenario, side), wish) for side in SIDES]
        for name, title, unit in FIGURES:
            if all(math.isnan(need.of(name).value) for need in pair):
                continue
            before, after = (_measure(need, name, unit.format(currency=self.currency)) for need in pair)
            ratio = change(getattr(pair[0], name), getattr(pair[1], name))
            both = measured(ratio, 0, METHOD, unit="x").model_copy(update={"n": None})
            yield Finding(
                id="benchmark/calculator", title=title, status=Status.INFO, legacy=before, candidate=after,
                change=both if before and after else None,
            )  # fmt: skip

    def at(self, scenario: str, wish: Wish) -> tuple[tuple[Finding, ...], Table, str]:
        """Figures, the same as a table, and what to know of them."""
        found = tuple(self.findings(scenario, wish))
        columns = ("of", *cell.SAID[:4], "candidate / legacy", cell.SAID[5])
        rows = tuple((one.title, *_said(one)) for one in found)
        late = [side for side in SIDES if not self.service(scenario, side).highest(wish.level)[0] > 0]
        told = "".join(_too_late(side, wish) for side in late)
        if math.isnan(wish.price):
            told += "Give the price of an hour to see what it costs. "
        return found, Table(title=_title(scenario, wish), columns=columns, rows=rows), told + ASSUMED

    def html(self, scenario: str, wish: Wish) -> str:
        from workbench.render.explore import explored

        try:
            findings, table, told = self.at(scenario, wish)
        except ValueError as error:
            return cell.paragraph(str(error))
        shown = [_drawn(one) for one in findings]
        return explored(table.title, shown, (table.model_copy(update={"title": "The same as numbers"}),), told)

    def __repr__(self) -> str:
        if not self.scenarios:
            return NOTHING
        _, table, told = self.at(self.scenarios[0], self.first(self.scenarios[0]))
        return f"{Listing(table)!r}\n{told}"

    def _repr_html_(self) -> str:
        return (
            self.html(self.scenarios[0], self.first(self.scenarios[0])) if self.scenarios else cell.paragraph(NOTHING)
        )

    def widget(self) -> Any:
        """What is to be served, at what price; below, what it takes."""
        import ipywidgets

        if not self.scenarios:
            return ipywidgets.HTML(self._repr_html_())
        scenario = ipywidgets.Dropdown(
            options=list(self.scenarios), description="rows of a request", style=_STYLE, layout=cell.FIELD
        )
        start = self.first(self.scenarios[0])
        fields = {name: _field(name, start) for name in _FIELDS}
        shown = ipywidgets.HTML()

        def wish() -> Wish:
            given: dict[str, Any] = {name: _FIELDS[name][2](field.value) for name, field in fields.items()}
            return start._replace(rows=rows_of(scenario.value), **given)

        def draw(_: object = None) -> None:
            shown.value = self.html(scenario.value, wish())

        def anew(_: object = None) -> None:
            """Another size of request takes another time: what is wished starts over."""
            other = self.first(scenario.value)
            for name in ("per_second", "level"):
                fields[name].unobserve(draw, "value")
                fields[name].value = _FIELDS[name][3](getattr(other, name))
                fields[name].observe(draw, "value")
            draw()

        scenario.observe(anew, "value")
        for field in fields.values():
            field.observe(draw, "value")
        draw()
        grid = {"grid_template_columns": "repeat(auto-fill, minmax(330px, 1fr))", "grid_gap": "0 12px"}
        return ipywidgets.VBox([ipywidgets.GridBox([scenario, *fields.values()], layout=grid), shown])


def _same(value: float) -> float:
    return float(value)


_STYLE = {"description_width": "190px"}
_Turn = Callable[[float], float]
_FIELDS: Mapping[str, tuple[str, float, _Turn, _Turn]] = {
    "per_second": ("requests a second", 1e9, _same, _same),
    "level": ("99 of 100 within, ms", 1e7, lambda ms: ms / 1e3, lambda seconds: 1e3 * seconds),
    "processes": ("processes on a machine", 4096, int, int),
    "least": ("machines at least", 1e6, int, int),
    "hours": ("hours a month", 744, _same, _same),
    "price": ("price of an hour, 0: none", 1e6, lambda price: price or math.nan, lambda p: 0.0 if p != p else p),
}
"""By name in `Wish`: label, largest value, from the field to the wish, and back."""


def _field(name: str, start: Wish) -> Any:
    import ipywidgets

    label, most, into, back = _FIELDS[name]
    kind = ipywidgets.BoundedIntText if into is int else ipywidgets.BoundedFloatText
    low = {"processes": 1, "least": 1}.get(name, 0)
    return kind(
        value=back(getattr(start, name)), min=low, max=most, description=label, style=_STYLE, layout=cell.FIELD,
        continuous_update=False,
    )  # fmt: skip


def rows_of(scenario: str) -> int:
    """How many rows a call of the scenario has: 1,024 of "1,024 rows"."""
    digits = re.match(r"[\d,]+", scenario)
    return int(digits[0].replace(",", "")) if digits else 1


def _drawn(finding: Finding) -> Finding:
    """As its row shows it: both sides rather than their ratio, and nobody buys half a machine."""
    sides: dict[str, Measure | None] = {side: getattr(finding, side) for side in SIDES}
    if finding.title == FIGURES[0][1]:
        sides = {side: one and one.model_copy(update={"low": None, "high": None}) for side, one in sides.items()}
    return finding.model_copy(update={**sides, "change": None})


def _too_late(side: Side, wish: Wish) -> str:
    return (
        f"The {side} model answers fewer than 99 of 100 requests within {1e3 * wish.level:,g} ms, even alone: no "
        "number of machines helps. "
    )


def _read(samples: Path | None) -> Any:
    if samples is None or not samples.is_file():
        return None
    from workbench.measure.speed.samples import read_samples

    return read_samples(samples)[0]


def _measure(need: Need, name: str, unit: str) -> Measure | None:
    found = need.of(name)
    if math.isnan(found.value):
        return None
    if found.low == found.high:
        found = Estimate(found.value)
    return measured(found, 0, METHOD, unit=unit).model_copy(update={"n": None})


def _said(finding: Finding) -> Iterator[str | None]:
    """As any pair, but machines are whole."""
    if not any(one and one.unit == WHOLE for one in (finding.legacy, finding.candidate)):
        yield from cell.said(finding)
        return
    for one in (finding.legacy, finding.candidate):
        yield f"{one.value:,.0f}" if one else None
        yield f"{one.low:,.0f} to {one.high:,.0f}" if one and one.low is not None and one.high is not None else None
    yield from list(cell.said(finding))[4:]


def _round(value: float) -> float:
    """With one significant digit, as a person would have said it."""
    return float(f"{value:.1g}")


def _title(scenario: str, wish: Wish) -> str:
    size = "" if wish.rows == 1 else f" of {wish.rows:,} rows"
    return f"{wish.per_second:,g} requests a second{size}, 99 of 100 within {1e3 * wish.level:,g} ms"
