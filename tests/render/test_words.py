"""Numbers into words: the claims that every face repeats."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from workbench.evidence import Finding, Limit, Measure, Status, verdict
from workbench.render import words


def said(text: str) -> str:
    return text.replace(words.SPACE, " ").replace(words.MINUS, "-")


@pytest.mark.parametrize(
    ("measure", "change", "value", "between"),
    [
        (Measure(value=0.0402, low=0.0213, high=0.0594), True, "+0.040", "0.021 to 0.059"),
        (Measure(value=-0.0402, low=-0.0594, high=-0.0213), True, "-0.040", "-0.059 to -0.021"),
        (Measure(value=0.018, low=0.0155, high=0.0208, unit="share"), False, "1.80 %", "1.55 to 2.08 %"),
        (Measure(value=0.041, low=0.02, high=0.06, unit="share"), True, "+4.1 points", "2.0 to 6.0 points"),
        (Measure(value=8.71, low=7.6, high=10.3, unit="ms"), False, "8.7 ms", "7.6 to 10.3 ms"),
        (Measure(value=5.2, unit="x"), True, "5.20×", ""),
        (Measure(value=9988, unit="rows"), False, "9,988 rows", ""),
        (Measure(value=1, unit="rows"), False, "1 row", ""),
        (Measure(value=1, unit="pieces"), False, "1 piece", ""),
        (Measure(value=1, unit="classes"), False, "1 class", ""),
        (Measure(value=1, unit="log-odds"), False, "1 log-odds", ""),
        (Measure(value=1, unit="ms"), False, "1 ms", ""),
        (Measure(value=3.21e-9), False, "3.2e-9", ""),
        (Measure(value=1e-12, low=0.0, high=3e-12), False, "1.0e-12", "0 to 3.0e-12"),
        (Measure(value=0.0), True, "0", ""),
        (Measure(value=math.nan, unit="ms"), False, "not defined", ""),
        (Measure(value=math.inf, unit="x"), False, "∞×", ""),
        (Measure(value=0.0, low=0.0, high=0.0003), False, "0", "0 to 0.00030"),
        (Measure(value=2.0, low=1.0, unit="log-odds"), False, "2.0 log-odds", "at least 1.0 log-odds"),
        (Measure(value=2.0, low=1.5, high=math.inf), False, "2.00", "1.50 to ∞"),
        (Measure(value=123456.7, low=123000, high=124000), False, "123,457", "123,000 to 124,000"),
    ],
)
def test_measures_and_intervals(measure: Measure, change: bool, value: str, between: str) -> None:
    assert said(words.measure(measure, change)) == value
    assert said(words.interval(measure, change)) == between


def test_the_words_keep_the_number() -> None:
    """Whatever is printed reads back within half a unit of its last digit."""
    for value in (0.5, 0.1234567, 12.3456, 987654.3, 3.3e-7, -0.25, 1e-4, 99.99, 0.999999):
        text = said(words.number(value)).replace(",", "")
        assert float(text) == pytest.approx(value, rel=0.05 if "e" in text else 0.005)


@pytest.mark.parametrize(
    ("limit", "unit", "change", "text"),
    [
        (Limit(value=0.05, better="lower", set_by="Risk policy 4.2"), "", True, "limit 0.05, Risk policy 4.2"),
        (Limit(value=0.05, better="lower"), "", False, "limit 0.05, default"),
        (Limit(value=0.8, better="higher"), "", False, "limit at least 0.8, default"),
        (Limit(value=1, better="equal", margin=0.02), "", False, "limit 1 ± 0.02, default"),
        (Limit(value=0.05, better="lower", margin=0.01), "", False, "limit 0.06, default"),
        (Limit(value=0, better="higher", margin=0.02), "", True, "limit at least -0.02, default"),
        (Limit(value=0.025, better="lower"), "share", False, "limit 2.5 %, default"),
        (Limit(value=0.05, better="lower"), "share", True, "limit 5 points, default"),
        (Limit(value=1e-6, better="lower"), "", False, "limit 1e-6, default"),
        (Limit(value=-0.5, better="higher"), "ms", False, "limit at least -0.5 ms, default"),
    ],
)
def test_limits_say_who_set_them(limit: Limit, unit: str, change: bool, text: str) -> None:
    assert said(words.limit(limit, unit, change)) == text


def test_a_sign_and_points_only_for_a_difference() -> None:
    """A distance between the models (a flip rate, a correlation) is no plus and no points."""
    rate = Measure(value=0.018, unit="share")
    pair = {"legacy": Measure(value=0.5, unit="share"), "candidate": Measure(value=0.518, unit="share")}
    alone = Finding(id="parity/flips", title="t", status=Status.INFO, change=rate)
    assert said(words.shown(alone)) == "1.80 %"
    assert said(words.shown(alone.model_copy(update=pair))) == "+1.80 points"
    other = alone.model_copy(update=pair | {"change": Measure(value=0.9)})
    assert said(words.shown(other)) == "0.900"


def test_durations_and_ages() -> None:
    assert [words.duration(s) for s in (0.31, 45.2, 200, 7500)] == ["0.3 s", "45 s", "3 min 20 s", "2 h 5 min"]
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    ages = [words.age(now - timedelta(seconds=s), now) for s in (5, 300, 7200, 200_000)]
    assert ages == ["now", "5 min", "2 h", "2 d"]
    assert words.moment(datetime(2026, 11, 2, 9, 5)) == "2 November 2026, 09:05 UTC"


def test_every_status_has_words() -> None:
    for status in Status:
        finding = Finding(id="a/b", title="t", status=status)
        assert words.STATUS[status]
        assert words.GROUPS[status]
        assert words.brief(verdict([finding]))


def test_text_cannot_rewrite_a_line() -> None:
    assert words.plain("a\x1b[31mb\r\nc\u202ed") == "a\N{REPLACEMENT CHARACTER}[31mb cd"
    assert len(words.short("y" * 10_000)) == 200
    assert words.short("") == "(empty)"


def test_columns_align_and_lose_nothing() -> None:
    assert words.column([0.731, 0.69, None]) == ["0.731", "0.690", words.NOTHING]
    assert words.column([1.0, 1e-9]) == ["1", "1.0e-9"]
    assert words.column([0.5, True, "x", 3], "share") == ["50", "yes", "x", "300"]
    assert words.column([0.4998, 0.50031]) == ["0.49980", "0.50031"], "scores near the threshold stay apart"
    assert words.column(["", "a"]) == ["(empty)", "a"]
    assert words.column([12, -3000]) == ["12", f"{words.MINUS}3,000"]


def test_measures_have_headings_in_words_and_other_columns_keep_their_names() -> None:
    from workbench.measure.fairness import RATES

    assert words.heading("tpr") == "true positive rate"
    assert words.heading("selection_rate", "share") == "selection rate, %"
    assert words.heading("income_cents") == "income_cents", "a column of the data is called as it is"
    assert not [rate for rate in RATES if words.heading(rate) == rate and (len(rate) < 4 or "_" in rate)]
