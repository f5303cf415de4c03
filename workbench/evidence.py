"""The vocabulary: what an audit found, as plain data that every face draws, signs or reads aloud.

Nothing here knows of models, tables or notebooks. Numbers stay numbers; words are made when drawing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, field_serializer, field_validator

SCHEMA = 1
"""Version of the evidence schema. A newer one is refused, an older one is upgraded by code."""

DEFAULT = "default"
"""`Limit.set_by` of a limit that nobody in the team has agreed to yet."""


class Status(StrEnum):
    """The closed set of outcomes of one finding.

    ERROR (it broke) and ABSENT (could not look, always with the reason) are never a judgement of the model.
    MANUAL waits for a person. INFO has no limit to be judged against.
    """

    PASS = "pass"  # noqa: S105 (a status, no password)
    WARN = "warn"
    FAIL = "fail"
    INFO = "info"
    MANUAL = "manual"
    ABSENT = "absent"
    ERROR = "error"


ORDER = (Status.FAIL, Status.ERROR, Status.ABSENT, Status.MANUAL, Status.WARN, Status.PASS, Status.INFO)
"""Worst first: what blocks, what broke, what is not assessed, what needs a person, warnings, the rest."""


class Plain(BaseModel):
    """Frozen, closed data: an unknown key is an error, so a typing slip never becomes silent evidence."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Measure(Plain):
    """A number with its interval. low and high are None where there is no interval.

    value may be NaN or infinite (written to JSON as a string): a gap of a group without positives is not 0.
    level: confidence level of the interval; n: rows it rests on; unit: "share" for a fraction (drawn as %, its
    change in points), "" for a pure number, else "ms", "rows", "x" (a ratio), "log-odds", ...; method: how the
    interval was made, with its source.
    """

    value: float
    low: float | None = None
    high: float | None = None
    level: float | None = None
    n: int | None = None
    unit: str = ""
    method: str = ""

    @field_validator("low", "high")
    @classmethod
    def _finite_bound(cls, bound: float | None) -> float | None:
        return None if bound is not None and math.isnan(bound) else bound


class Limit(Plain):
    """What the team accepts, and who said so.

    better: "lower" accepts up to value + margin, "higher" from value - margin, "equal" within value +/- margin.
    set_by: a person, a policy, or "default".
    """

    value: float
    better: Literal["lower", "higher", "equal"]
    margin: float = Field(default=0.0, ge=0)
    set_by: str = DEFAULT

    @property
    def accepted(self) -> tuple[float, float]:
        """Closed range of accepted values."""
        low = -math.inf if self.better == "lower" else self.value - self.margin
        high = math.inf if self.better == "higher" else self.value + self.margin
        return low, high


class Text(Plain):
    """A paragraph, or with code=True a command or snippet to copy."""

    type: Literal["text"] = "text"
    title: str = ""
    text: str
    code: bool = False


Cell = float | int | str | bool | None


class Table(Plain):
    """Rows under named columns. units: one per column, "" where there is none."""

    type: Literal["table"] = "table"
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    units: tuple[str, ...] = ()


class Series(Plain):
    """One line, set of bars or cloud of a chart; low and high are whiskers. role picks the house colour."""

    name: str
    x: tuple[float | str, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    role: Literal["legacy", "candidate", "change", "other"] = "other"


class Chart(Plain):
    """One of six kinds, drawn by `render`. The title says what the chart shows; axes carry units.

    interval: y is the value with low/high whiskers, x the names (drawn lying).
    heat: each series is a row of the map. hist: x are the bin centres, y the shares.
    """

    type: Literal["chart"] = "chart"
    kind: Literal["bar", "line", "scatter", "interval", "heat", "hist"]
    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    log: bool = False


class File(Plain):
    """A file beside the evidence, named relative to it."""

    type: Literal["file"] = "file"
    title: str
    path: str
    sha256: str
    media: str = "application/octet-stream"


Detail = Annotated[Text | Table | Chart | File, Field(discriminator="type")]


class Finding(Plain):
    """One thing an audit found: the pair, the change between them, and what it means.

    id: stable and documented ("bias/selection-rate-gap"); subject: what of ("sex", "income"), "" for the whole.
    limit judges the change where `judged` is "change", else the candidate, else the legacy model or the data.
    reason: why a status is ABSENT or ERROR, in one sentence.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*/[a-z0-9][a-z0-9-]*$")
    subject: str = ""
    title: str
    status: Status
    legacy: Measure | None = None
    candidate: Measure | None = None
    change: Measure | None = None
    limit: Limit | None = None
    judged: Literal["legacy", "candidate", "change"] | None = None
    why: str = ""
    fix: str = ""
    reason: str = ""
    details: tuple[Detail, ...] = ()

    @property
    def key(self) -> str:
        """`id[subject]`: unique within one evidence."""
        return f"{self.id}[{self.subject}]" if self.subject else self.id

    @property
    def shown(self) -> Measure | None:
        """The measure the status was judged on; without a limit the change, else the candidate's, else the legacy's."""
        if self.judged:
            measure: Measure | None = getattr(self, self.judged)
            return measure
        return self.change or self.candidate or self.legacy


class Evidence(Plain):
    """Everything one audit found in one run: written once, never changed.

    subjects: sha256 of what was judged (data, legacy, candidate). key: freshness, sha256 over inputs, params, code
    and environment. started: UTC. seconds: wall time by a monotonic clock.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", populate_by_name=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    audit: str
    question: str = ""
    migration: str
    subjects: dict[str, str] = {}
    params: dict[str, object] = {}
    environment: dict[str, str] = {}
    key: str = ""
    started: datetime
    seconds: float
    findings: tuple[Finding, ...]

    @field_serializer("params", mode="wrap")
    def _plain_params(self, params: dict[str, object], handler: SerializerFunctionWrapHandler) -> object:
        return handler(dict(sorted(params.items())))

    @property
    def verdict(self) -> Verdict:
        return verdict(self.findings)

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, indent=1)


class Verdict(Plain):
    """What a set of findings comes to: computed, never stored."""

    status: Status
    sentence: str
    counts: dict[Status, int]
    defaults: int = 0
    """How many of the limits that judged are nobody's decision yet."""
    limits: int = 0


def judge(measure: Measure | None, limit: Limit | None) -> Status:
    """The one place where a number becomes a status.

    The whole interval inside what the limit accepts: PASS; wholly outside: FAIL; straddling: WARN.
    No limit: INFO. No measure, or NaN: ABSENT (say why in the finding's reason).
    """
    if measure is None or math.isnan(measure.value):
        return Status.ABSENT
    if limit is None:
        return Status.INFO
    accepted_low, accepted_high = limit.accepted
    low = measure.value if measure.low is None else measure.low
    high = measure.value if measure.high is None else measure.high
    if accepted_low <= low and high <= accepted_high:
        return Status.PASS
    if high < accepted_low or low > accepted_high:
        return Status.FAIL
    return Status.WARN


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first, otherwise as found."""
    return sorted(findings, key=lambda finding: ORDER.index(finding.status))


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Worst finding first: blockers and "not assessed" are named before anything that passed."""
    found = list(findings)
    counts = Counter(finding.status for finding in found)
    judged = [finding.limit for finding in found if finding.limit and finding.status in _JUDGED]
    return Verdict(
        status=next((status for status in ORDER if counts[status]), Status.ABSENT),
        sentence=_sentence(counts),
        counts={status: counts[status] for status in ORDER if counts[status]},
        defaults=sum(limit.set_by == DEFAULT for limit in judged),
        limits=len(judged),
    )


_JUDGED = (Status.PASS, Status.WARN, Status.FAIL)

_WORDS = {
    Status.FAIL: ("{} thing blocks go-live", "{} things block go-live"),
    Status.ERROR: ("{} check broke", "{} checks broke"),
    Status.ABSENT: ("{} thing is not assessed", "{} things are not assessed"),
    Status.MANUAL: ("{} thing needs a person", "{} things need a person"),
    Status.WARN: ("{} warning", "{} warnings"),
    Status.PASS: ("{} check passed", "{} checks passed"),
}


def _sentence(counts: Counter[Status]) -> str:
    if not counts:
        return "Not assessed."
    parts = [
        one.format(n) if n == 1 else many.format(n) for status, (one, many) in _WORDS.items() if (n := counts[status])
    ]
    if counts[Status.FAIL]:
        head = "Not ready"
    elif counts[Status.ERROR]:
        head = "Broke"
    elif not (counts[Status.PASS] or counts[Status.WARN] or (counts[Status.INFO] and not counts[Status.ABSENT])):
        head = "Waiting" if counts[Status.MANUAL] else "Not assessed"
    else:
        head = "Ready so far" if counts[Status.ABSENT] or counts[Status.MANUAL] else "Ready"
    return f"{head}: {', '.join(parts)}." if parts else f"{head}."
