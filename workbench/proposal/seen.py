"""What there is to propose from: a sample of the holdout, and the model's answers to it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from workbench.evidence import Plain
from workbench.migration import CHECK
from workbench.models import normal
from workbench.proposal.sources import ProposalError

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data import Table
    from workbench.models import Model, Outputs

LOOKED_AT = 20_000
"""Rows looked at, at most."""
ANSWERED = 2_000
"""Rows the model answers, at most."""

Confidence = Literal["given", "high", "medium", "low"]


class Proposed(Plain):
    """A value of migration.yaml, how sure it is, and why. key: dotted, "task.target"."""

    key: str
    value: Any = None
    confidence: Confidence
    why: str = Field(description="in words, for a person who decides")

    @property
    def comment(self) -> str:
        """The reason as it stands in the file."""
        return f"{CHECK}: {self.why}" if self.confidence == "low" else self.why


@dataclass(frozen=True, eq=False)
class Seen:
    """table: the holdout; frame: a sample of it; model: the legacy model, open; agreed: what `agreement` found."""

    table: Table
    frame: pd.DataFrame
    model: Model
    agreed: dict[str, float | None] = field(default_factory=dict)

    @cached_property
    def answers(self) -> Outputs:
        """The model's answers to the first rows of the sample. Raises ModelError naming columns the data lacks."""
        return self.model.predict(self.head)

    @property
    def head(self) -> pd.DataFrame:
        return self.frame.iloc[:ANSWERED]

    @property
    def columns(self) -> list[str]:
        return [column.name for column in self.table.columns]

    @cached_property
    def read(self) -> frozenset[str]:
        """Columns of the data the model reads; LightGBM writes underscores for the spaces in a name."""
        asked = {wanted.name for wanted in self.model.inputs}
        return frozenset(name for name in self.columns if name in asked or name.replace(" ", "_") in asked)

    @cached_property
    def distinct(self) -> dict[str, int]:
        """Distinct values in the sample, missing ones left out."""
        return {
            name: int(self.frame[name].astype("str").where(self.frame[name].notna()).nunique()) for name in self.columns
        }

    @property
    def whole(self) -> bool:
        return len(self.frame) == self.table.rows

    @property
    def among(self) -> str:
        """Where a fact was seen, in words."""
        return f"all {self.table.rows:,} rows" if self.whole else f"{len(self.frame):,} of {self.table.rows:,} rows"


def refuse_unknown(seen: Seen, name: str, what: str) -> None:
    """what: the column's part in a sentence. Raises ProposalError, with the nearest name, where it is not there."""
    if name not in seen.columns:
        near = difflib.get_close_matches(name, seen.columns, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ProposalError(
            f"The {what} {name!r} is not in {seen.table.name}. {hint}It has {listed(seen.columns, 15)}."
        )


def spelled(column: pd.Series[Any]) -> pd.Series[Any]:
    """Every value in its one spelling."""
    return column.map({value: normal(value) for value in column.unique()})


def listed(names: list[str] | tuple[str, ...], most: int = 6) -> str:
    """`a, b and 3 more`."""
    shown = ", ".join(name if len(name) <= 40 else f"{name[:39]}…" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
