"""What an audit is. There is nothing to inherit: an audit is a module in `workbench/audits/` that has these names.

    QUESTION: str                     the question it answers, as asked by a stranger
    KINDS: tuple[Kind, ...]           every finding it can make, with why it matters and how to fix it
    class Params(BaseModel)           what a person may choose, with defaults and descriptions
    def run(<needs>, params: Params) -> Iterator[Finding]

`run` declares what it needs by the names of its parameters, and receives only that (`NEEDS`, or the name of
another audit: then its Evidence). A need annotated `... | None` is optional: it is None when it is not there.
A need that is required and not there ends as one ABSENT finding with the reason; the audit is not called.
A mover (`workbench/migrate/`) has the same shape, and MAKES: what it makes ("candidate").
"""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict

from workbench.evidence import Detail, Finding, Limit, Measure, Plain, Status, Table, judge

if TYPE_CHECKING:
    import pandas as pd

NEEDS = {
    "task": "task, target, positive class and threshold of migration.yaml",
    "roles": "what each column is, of migration.yaml",
    "limits": "what the team accepts: Limits of migration.yaml, by finding id",
    "train": "the rows the legacy model was trained on (data.Table)",
    "holdout": "the rows both models are judged on (data.Table)",
    "production": "recent production rows (data.Table)",
    "legacy": "the legacy model (models.Model)",
    "candidate": "the candidate model (models.Model)",
    "scored": "both models on the same holdout rows (scored.Scored); its candidate may be None",
    "doors": "both models by side, each opened only when it is asked for (causes.Doors)",
    "answers": "what people said of the sampled cases (tuple of uat.Answer)",
    "comments": "what people remarked and share (tuple of uat.Comment)",
    "withheld": "where masked values of the sampled cases are kept for those who may see them (uat.Withheld)",
    "folder": "a folder of the migration to write files to (movers only)",
    "artifacts": "the folder the evidence goes to: files written there lie beside it; None where none is kept",
}


class Resources(Plain):
    """What one notebook needs of a machine of a cluster: cores, GPUs, and bytes of memory. An audit says RESOURCES."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 2 * 1024**3


def resources(audit: object) -> Resources:
    """As the module declares them, else the defaults."""
    declared = getattr(audit, "RESOURCES", None)
    return declared if isinstance(declared, Resources) else Resources()


class Params(BaseModel):
    """Base of an audit's Params: closed, so an undeclared parameter is refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Kind(Plain):
    """A kind of finding: stable id, what it asks, why it matters, how to fix it, and the source of its formula.

    limit: the default, written to migration.yaml by `workbench new` with set_by "default"; None judges nothing.
    """

    id: str
    title: str
    why: str
    fix: str
    source: str = ""
    limit: Limit | None = None

    def found(
        self,
        title: str = "",
        subject: str = "",
        *,
        legacy: Measure | None = None,
        candidate: Measure | None = None,
        change: Measure | None = None,
        limit: Limit | None = None,
        judged: typing.Literal["legacy", "candidate", "change"] | None = None,
        status: Status | None = None,
        reason: str = "",
        fix: str = "",
        details: tuple[Detail, ...] = (),
    ) -> Finding:
        """A finding of this kind. Its status is judged from the measure named by `judged`, unless one is given.

        With a limit and no `judged`, the change is judged, else the candidate's, else the legacy's measure.
        """
        pair = {"change": change, "candidate": candidate, "legacy": legacy}
        if limit is not None and judged is None:
            judged = next(
                (typing.cast("typing.Any", name) for name, measure in pair.items() if measure is not None), None
            )
        if status is None:
            status = judge(pair[judged] if judged else change or candidate or legacy, limit)
        return Finding(
            id=self.id,
            subject=subject,
            title=title or self.title,
            status=status,
            legacy=legacy,
            candidate=candidate,
            change=change,
            limit=limit,
            judged=judged,
            why=self.why,
            fix=fix or self.fix,
            reason=reason,
            details=details,
        )

    def absent(self, reason: str, subject: str = "", title: str = "") -> Finding:
        """Could not look, and why."""
        return self.found(title, subject, status=Status.ABSENT, reason=reason)


def measured(estimate: Sequence[float], n: int, method: str = "", *, level: float = 0.95, unit: str = "") -> Measure:
    """A (value, low, high) of `measure/` as a Measure; bounds that are NaN or not there are left out."""
    value, low, high = (*estimate, math.nan, math.nan)[:3]
    bounded = not (math.isnan(low) and math.isnan(high))
    return Measure(value=value, low=low, high=high, level=level if bounded else None, n=n, unit=unit, method=method)


def tabled(title: str, frame: pd.DataFrame, units: tuple[str, ...] = ()) -> Table:
    """A frame of `measure/` as a Table; its index is left out, what is missing becomes None."""
    columns = [frame.iloc[:, place].astype(object).tolist() for place in range(frame.shape[1])]
    rows = tuple(tuple(_cell(value) for value in row) for row in zip(*columns))
    return Table(title=title, columns=tuple(map(str, frame.columns)), rows=rows, units=units)


def _cell(value: typing.Any) -> float | int | str | bool | None:
    plain = value.item() if hasattr(value, "item") else value
    return None if plain is None or plain != plain else plain


class Audit(Protocol):
    """The shape of an audit module (see above); `run` is checked by `needs`."""

    QUESTION: str
    KINDS: tuple[Kind, ...]
    Params: type[Params]

    def run(self, *args: typing.Any, **kwargs: typing.Any) -> Iterator[Finding]: ...


class Need(Plain):
    name: str
    optional: bool


def needs(audit: Audit) -> tuple[Need, ...]:
    """What `run` asks for, from its signature, `params` left out.

    Raises TypeError if a parameter has no annotation.
    """
    parameters = inspect.signature(audit.run).parameters
    for name, parameter in parameters.items():
        if parameter.annotation is inspect.Parameter.empty:
            raise TypeError(f"{audit.run.__module__}.run: parameter {name!r} needs an annotation")
    # Read as text, so that an audit may import the types of its needs for checking only.
    return tuple(
        Need(name=name, optional="None" in str(parameter.annotation).replace(" ", "").split("|"))
        for name, parameter in parameters.items()
        if name != "params"
    )
