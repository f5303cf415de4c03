"""The vocabulary: one place judges, and the verdict is computed."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workbench.evidence import ORDER, Evidence, Finding, Limit, Measure, Status, judge, ordered, verdict


@pytest.mark.parametrize(
    ("interval", "better", "status"),
    [
        ((0.01, 0.05), "lower", Status.PASS),
        ((0.01, 0.10), "lower", Status.PASS),
        ((0.05, 0.15), "lower", Status.WARN),
        ((0.11, 0.15), "lower", Status.FAIL),
        ((0.11, 0.15), "higher", Status.PASS),
        ((0.05, 0.15), "higher", Status.WARN),
        ((0.01, 0.05), "higher", Status.FAIL),
        ((0.09, 0.11), "equal", Status.WARN),
        ((0.10, 0.10), "equal", Status.PASS),
        ((0.20, 0.30), "equal", Status.FAIL),
    ],
)
def test_the_interval_decides(interval: tuple[float, float], better: str, status: Status) -> None:
    measure = Measure(value=sum(interval) / 2, low=interval[0], high=interval[1])
    assert judge(measure, Limit(value=0.10, better=better)) == status  # type: ignore[arg-type]


@given(st.floats(-10, 10), st.floats(0, 5), st.floats(0, 5), st.floats(-10, 10), st.floats(0, 3))
def test_a_margin_only_ever_helps(value: float, below: float, above: float, limit: float, margin: float) -> None:
    rank = [Status.FAIL, Status.WARN, Status.PASS]
    measure = Measure(value=value, low=value - below, high=value + above)
    for better in ("lower", "higher", "equal"):
        strict = judge(measure, Limit(value=limit, better=better))  # type: ignore[arg-type]
        lenient = judge(measure, Limit(value=limit, better=better, margin=margin))  # type: ignore[arg-type]
        assert rank.index(lenient) >= rank.index(strict)


def test_no_number_is_never_a_verdict() -> None:
    limit = Limit(value=1, better="lower")
    assert judge(None, limit) == Status.ABSENT
    assert judge(Measure(value=math.nan), limit) == Status.ABSENT
    assert judge(Measure(value=5), None) == Status.INFO


def _finding(status: Status, **parts: object) -> Finding:
    return Finding(id="bias/selection-rate-gap", title="x", status=status, **parts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statuses", "worst", "sentence"),
    [
        (
            [Status.PASS, Status.FAIL, Status.ABSENT],
            Status.FAIL,
            "Not ready: 1 thing blocks go-live, 1 thing is not assessed, 1 check passed.",
        ),
        ([Status.PASS, Status.PASS], Status.PASS, "Ready: 2 checks passed."),
        ([Status.PASS, Status.ABSENT], Status.ABSENT, "Ready so far: 1 thing is not assessed, 1 check passed."),
        ([Status.ABSENT], Status.ABSENT, "Not assessed: 1 thing is not assessed."),
        ([Status.ERROR, Status.PASS], Status.ERROR, "Broke: 1 check broke, 1 check passed."),
        ([], Status.ABSENT, "Not assessed."),
    ],
)
def test_the_verdict_names_the_worst_first(statuses: list[Status], worst: Status, sentence: str) -> None:
    found = verdict(_finding(status) for status in statuses)
    assert (found.status, found.sentence) == (worst, sentence)


def test_limits_nobody_agreed_to_are_counted() -> None:
    default, agreed = Limit(value=1, better="lower"), Limit(value=1, better="lower", set_by="Risk policy 4.2")
    found = verdict(
        [
            _finding(Status.PASS, limit=default),
            _finding(Status.PASS, limit=agreed),
            _finding(Status.ABSENT, limit=default),
        ]
    )
    assert (found.defaults, found.limits) == (1, 2)


def test_ordered_keeps_every_status_once() -> None:
    assert [finding.status for finding in ordered([_finding(status) for status in Status])] == list(ORDER)
    assert set(ORDER) == set(Status)


def test_evidence_survives_json_with_numbers_that_are_none() -> None:
    measure = Measure(value=math.inf, low=-math.inf, high=math.nan, n=3)
    evidence = Evidence(
        audit="bias",
        migration="credit",
        started=datetime.now(UTC),
        seconds=1.5,
        findings=(_finding(Status.INFO, legacy=measure),),
    )
    again = Evidence.model_validate_json(evidence.to_json())
    assert again == evidence
    assert again.findings[0].legacy is not None
    assert again.findings[0].legacy.value == math.inf


def test_a_typing_slip_is_refused() -> None:
    with pytest.raises(ValidationError, match="titel"):
        Finding(id="bias/x", titel="x", title="x", status=Status.PASS)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        Finding(id="Bias X", title="x", status=Status.PASS)
