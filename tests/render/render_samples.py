"""Realistic evidence of an invented migration, and evidence whose every text is hostile."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from workbench.evidence import Chart, Evidence, File, Finding, Limit, Measure, Series, Status, Table, Text
from workbench.render import Chapter

STARTED = datetime(2026, 11, 22, 10, 45, tzinfo=UTC)
RISK = "Risk policy 4.2"
GROUPS = ("female", "male", "under 25", "25 to 45", "over 45")


def evidence(audit: str, question: str, *findings: Finding, **more: object) -> Evidence:
    return Evidence(
        audit=audit,
        question=question,
        migration="credit",
        subjects={"holdout": "5b11" * 16, "legacy": "3f9a" * 16, "candidate": "88d2" * 16},
        params={"sample": 20_000, "level": 0.95},
        environment={"python": "3.11.9", "torch": "2.13.0", "machine": "2 cores, no GPU", "workbench": "0.1"},
        key="ab" * 32,
        started=STARTED,
        seconds=12.4,
        findings=findings,
        **more,  # type: ignore[arg-type]
    )


def measure(
    value: float, low: float | None = None, high: float | None = None, unit: str = "", n: int = 9988
) -> Measure:
    return Measure(value=value, low=low, high=high, level=0.95 if low is not None else None, n=n, unit=unit)


def six_charts() -> tuple[Chart, ...]:
    """One of each kind."""
    rng = np.random.default_rng(7)
    bins = tuple(np.linspace(0.025, 0.975, 20).tolist())
    old = np.histogram(rng.beta(2, 4, 9988), 20, (0, 1))[0] / 9988
    new = np.histogram(rng.beta(2, 3.8, 9988), 20, (0, 1))[0] / 9988
    cloud = rng.normal(0, 1, 300)
    return (
        Chart(
            kind="bar",
            title="True positive rate by group: women lose four points, men none",
            x="group",
            y="true positive rate",
            series=tuple(
                Series(
                    name=role,
                    role=role,
                    x=GROUPS,
                    y=values,
                    low=tuple(v - 0.02 for v in values),
                    high=tuple(v + 0.02 for v in values),
                )
                for role, values in (
                    ("legacy", (0.731, 0.758, 0.70, 0.76, 0.74)),
                    ("candidate", (0.690, 0.757, 0.69, 0.76, 0.74)),
                )
            ),
        ),
        Chart(
            kind="line",
            title="Calibration: predicted against observed default rate",
            x="predicted probability",
            y="observed share",
            series=(
                Series(name="legacy", role="legacy", x=bins, y=tuple(b * 0.97 for b in bins)),
                Series(name="candidate", role="candidate", x=bins, y=tuple(b**1.04 for b in bins)),
                Series(name="perfect", x=bins, y=bins),
            ),
        ),
        Chart(
            kind="scatter",
            title="Scores of both models on the same rows",
            x="legacy, log-odds",
            y="candidate, log-odds",
            series=(
                Series(
                    name="rows",
                    role="candidate",
                    x=tuple(cloud.tolist()),
                    y=tuple((cloud + rng.normal(0, 0.08, 300)).tolist()),
                ),
            ),
        ),
        Chart(
            kind="interval",
            title="Selection rate by group, with 95 % intervals",
            x="group",
            y="selection rate",
            series=tuple(
                Series(
                    name=role,
                    role=role,
                    x=GROUPS,
                    y=values,
                    low=tuple(v - w for v, w in zip(values, (0.015, 0.012, 0.05, 0.012, 0.03), strict=True)),
                    high=tuple(v + w for v, w in zip(values, (0.015, 0.012, 0.05, 0.012, 0.03), strict=True)),
                )
                for role, values in (
                    ("legacy", (0.62, 0.66, 0.51, 0.65, 0.70)),
                    ("candidate", (0.58, 0.66, 0.50, 0.65, 0.69)),
                )
            ),
        ),
        Chart(
            kind="heat",
            title="Change of the gap where two attributes meet",
            x="age group",
            y="change, points",
            series=tuple(
                Series(name=sex, x=GROUPS[2:], y=row)
                for sex, row in (("female", (-5.1, -4.2, -1.0)), ("male", (0.4, -0.1, 2.2)))
            ),
        ),
        Chart(
            kind="hist",
            title="Scores: the candidate is a little less sure",
            x="score",
            y="share of rows",
            series=(
                Series(name="legacy", role="legacy", x=bins, y=tuple(old.tolist())),
                Series(name="candidate", role="candidate", x=bins, y=tuple(new.tolist())),
            ),
        ),
    )


def bias() -> Evidence:
    table = Table(
        title="True positive rate",
        columns=("group", "n", "legacy", "candidate", "change"),
        rows=(
            ("female", 4012, 0.731, 0.690, -0.041),
            ("male", 5976, 0.758, 0.757, -0.001),
            ("gap", None, 0.027, 0.067, 0.040),
        ),
    )
    return evidence(
        "bias",
        "Is any group treated worse than before?",
        Finding(
            id="bias/equal-opportunity-gap",
            subject="sex",
            title="Women who would repay are refused more often than before",
            status=Status.FAIL,
            legacy=measure(0.027, 0.010, 0.045),
            candidate=measure(0.067, 0.049, 0.086),
            change=Measure(
                value=0.040,
                low=0.021,
                high=0.059,
                level=0.95,
                n=9988,
                method="10,000 multinomial draws, max-T (Hothorn 2008)",
            ),
            limit=Limit(value=0.02, better="lower", set_by=RISK),
            judged="change",
            why="Of the women who would have repaid, the candidate refuses 4.1 points more than the legacy model did. "
            "The move, not the data, makes the difference.",
            fix="Set the decision threshold per group, or train with the constraint; both are one step and are "
            "audited again, see `group_thresholds`:\n$ workbench run credit --only mitigate --param method=threshold",
            details=(table, *six_charts()),
        ),
        Finding(
            id="bias/selection-rate-ratio",
            subject="sex",
            title="Selection rates stay within four fifths",
            status=Status.PASS,
            legacy=measure(0.93, 0.90, 0.96),
            candidate=measure(0.88, 0.85, 0.91),
            limit=Limit(value=0.80, better="higher"),
            judged="candidate",
        ),
        Finding(
            id="bias/small-group",
            subject="age over 75",
            title="Group “age over 75” is too small to judge",
            status=Status.ABSENT,
            reason="31 rows, 200 needed for this margin",
        ),
    )


def parity() -> Evidence:
    passed = [
        Finding(
            id="parity/probability",
            subject=f"quantile {q}",
            title=f"Probabilities agree at quantile {q}",
            status=Status.PASS,
            candidate=Measure(value=10.0 ** -(9 + q % 3), n=9988),
            limit=Limit(value=1e-6, better="lower"),
            judged="candidate",
            why="A probability is used downstream.",
        )
        for q in range(1, 12)
    ]
    return evidence(
        "parity",
        "Does the candidate answer as the legacy model did?",
        Finding(
            id="parity/labels",
            title="Answers agree within the margin",
            status=Status.PASS,
            change=measure(0.0180, 0.0155, 0.0208, "share"),
            limit=Limit(value=0.025, better="lower", set_by="Risk policy 4.1"),
            judged="change",
            why="A flipped label is a different decision for a person.",
            fix="Look at the rows that flip: `scored.flips`.",
            details=(
                Text(title="Reproduce", text="workbench run credit --only parity", code=True),
                File(title="flipped rows", path="flips.csv", sha256="aa" * 32, media="text/csv"),
            ),
        ),
        *passed,
    )


def benchmark() -> Evidence:
    return evidence(
        "benchmark",
        "Is it faster and cheaper, by how much, how surely?",
        Finding(
            id="benchmark/latency",
            subject="one row",
            title="Single-row latency: p99 is close to the service level",
            status=Status.WARN,
            legacy=measure(18.2, 17.4, 19.5, "ms"),
            candidate=measure(8.7, 7.6, 10.3, "ms"),
            limit=Limit(value=10, better="lower", set_by="Ops SLO 12"),
            judged="candidate",
            why="One slow answer in a hundred is what users notice.",
        ),
        Finding(
            id="benchmark/speedup",
            subject="20,000 rows",
            title="Batches are faster",
            status=Status.PASS,
            change=measure(5.2, 4.9, 5.5, "x"),
            limit=Limit(value=1, better="higher", set_by="Ops"),
            judged="change",
        ),
        Finding(
            id="benchmark/gpu",
            title="Speed on a GPU",
            status=Status.ABSENT,
            reason="no GPU on this machine",
            limit=Limit(value=3, better="higher"),
            fix="Run where one is:\n$ workbench run credit --only benchmark",
        ),
    )


def readiness() -> Evidence:
    return evidence(
        "readiness",
        "Can this data carry the move?",
        Finding(
            id="readiness/drift",
            subject="income",
            title="Income drifted since training",
            status=Status.WARN,
            legacy=measure(0.19, 0.17, 0.21),
            limit=Limit(value=0.2, better="lower"),
            judged="legacy",
            why="The model was trained on another population.",
        ),
        Finding(
            id="readiness/rows",
            title="Rows judged",
            status=Status.INFO,
            legacy=Measure(value=9988, unit="rows", n=9988),
        ),
        Finding(
            id="readiness/leakage",
            title="The leakage check broke",
            status=Status.ERROR,
            reason="ValueError: could not convert 'Mar-98' to a number (column issued)",
        ),
    )


def acceptance() -> Evidence:
    return evidence(
        "acceptance",
        "What must people sign, and have they?",
        Finding(
            id="acceptance/approvals",
            title="Two approvals are missing: Risk, Operations",
            status=Status.MANUAL,
            why="Nobody goes live on evidence alone.",
        ),
    )


def journey() -> tuple[list[Evidence], tuple[Chapter, ...]]:
    found = [readiness(), parity(), bias(), benchmark(), acceptance()]
    by_name = {one.audit: one for one in found}

    def chapter(number: int, title: str, *names: str) -> Chapter:
        questions = {"compatibility": "Can this model be expressed in torch, piece by piece?"}
        entries = (
            (name, by_name[name].question if name in by_name else questions.get(name, ""), by_name.get(name))
            for name in names
        )
        return Chapter(number, title, tuple(entries))

    return found, (
        chapter(1, "Plan"),
        chapter(2, "Data", "readiness"),
        chapter(3, "Platform"),
        chapter(4, "Model", "compatibility", "parity"),
        chapter(5, "Trust", "bias"),
        chapter(6, "Validate", "benchmark", "acceptance"),
    )


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    r"$\frac{1}{2}$",
    "{{ 7*7 }}{% raw %}",
    "\u202eevil gnp.exe",
    "عمر العميل",
    "a\u2028b\x00c\x1b[31m",
    "",
    '=HYPERLINK("http://evil.example","x")',
    "long " + "y" * 10_000,
    "<b>bold</b> &amp; 'quotes\"",
    "var(--c-ink)",
    "javascript:alert(3)",
)


def hostile() -> Evidence:
    """Every text of every finding is one of HOSTILE."""
    names = tuple(name or " " for name in HOSTILE)
    values = tuple(float(at) for at in range(len(names)))
    table = Table(title=HOSTILE[0], columns=HOSTILE[:6], rows=(HOSTILE[:6], HOSTILE[6:12]), units=HOSTILE[6:12])
    made = [
        Chart(
            kind=kind,
            title=name,
            x=name,
            y=name,
            series=(
                Series(name=name, x=HOSTILE, y=values, low=values, high=values),
                Series(name=HOSTILE[1], x=HOSTILE, y=values),
            ),
        )
        for kind, name in zip(("bar", "line", "scatter", "interval", "heat", "hist"), HOSTILE[:6], strict=True)
    ]
    details = (
        table,
        *made,
        *(Text(title=name, text=name, code=code) for name in names for code in (False, True)),
        *(File(title=name, path=name, sha256=name, media=name) for name in names),
    )
    findings = [
        Finding(
            id=f"bias/kind-{at}",
            subject=name,
            title=name,
            status=list(Status)[at % len(Status)],
            legacy=Measure(value=0.5, unit=name, method=name),
            limit=Limit(value=1, better="lower", set_by=name),
            why=name,
            fix=f"{name}\n$ {name}\n```\n{name}\n```\n`{name}`",
            reason=name,
            details=details if at < 2 else (),
        )
        for at, name in enumerate(names)
    ]
    texts = {name: name for name in names}
    return Evidence(
        audit=HOSTILE[0],
        question=HOSTILE[1],
        migration=HOSTILE[2],
        subjects=texts,
        params=dict(texts),
        environment=texts,
        started=STARTED,
        seconds=1,
        findings=tuple(findings),
    )
