"""The pair plot says what `judge` says: nobody may read a pass off a picture of a block."""

from __future__ import annotations

import math

import pytest

from workbench.evidence import Finding, Limit, Measure, Status, judge
from workbench.render.pair import Dot, Pair, pair

LIMITS = [
    Limit(value=0.05, better="lower"),
    Limit(value=0.05, better="higher", margin=0.01),
    Limit(value=0.05, better="equal", margin=0.02),
]


def finding(judged: str | None, limit: Limit | None, **measures: Measure) -> Finding:
    return Finding(id="a/b", title="t", status=Status.INFO, limit=limit, judged=judged, **measures)


def read(picture: Pair, dot: Dot) -> Status:
    """The status a person reads: whiskers inside the band, outside it, or across its edge."""
    assert picture.band
    low, high = picture.band
    if low <= dot.low and dot.high <= high:
        return Status.PASS
    return Status.FAIL if dot.high < low or dot.low > high else Status.WARN


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.better)
@pytest.mark.parametrize("judged", ["legacy", "candidate", "change"])
@pytest.mark.parametrize("value", [-0.2, 0.0, 0.02, 0.045, 0.055, 0.1, 3.0])
@pytest.mark.parametrize("half", [0.0, 0.003, 0.04])
def test_the_picture_reads_as_the_judge_judged(limit: Limit, judged: str, value: float, half: float) -> None:
    measured = Measure(value=value, low=value - half, high=value + half)
    others = {"legacy": Measure(value=0.5), "candidate": Measure(value=0.5 + value)} if judged == "change" else {}
    picture = pair(finding(judged, limit, **{judged: measured}, **others))
    assert picture
    dot = picture.dots[-1]
    assert dot.role == ("legacy" if judged == "legacy" else "candidate")
    if abs(value) < 1:  # a pixel is a pixel
        assert read(picture, dot) is judge(measured, limit)


def test_a_judged_change_has_the_scale_of_the_change() -> None:
    before, after, change = Measure(value=0.7), Measure(value=0.74), Measure(value=0.04, low=0.02, high=0.06)
    picture = pair(finding("change", Limit(value=0.05, better="lower"), legacy=before, candidate=after, change=change))
    assert picture
    assert picture.same == picture.dots[0].x, "the hollow dot stands at no change"
    assert picture.dots[0].role == "legacy"
    assert picture.dots[1].x > picture.dots[0].x
    assert "legacy 0.7" in picture.label
    assert "limit 0.05" in picture.label


def test_a_distance_has_no_as_before() -> None:
    picture = pair(finding("change", Limit(value=0.99, better="higher"), change=Measure(value=1.0)))
    assert picture
    assert picture.same is None
    assert [dot.role for dot in picture.dots] == ["candidate"]


def test_a_ratio_starts_from_one() -> None:
    picture = pair(finding("change", Limit(value=1, better="higher"), change=Measure(value=5.2, unit="x")))
    assert picture
    assert picture.same == pytest.approx(picture.edges[0])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nothing_finite_is_not_drawn(value: float) -> None:
    assert pair(finding("candidate", LIMITS[0], candidate=Measure(value=value))) is None
    assert pair(finding(None, None)) is None
    assert pair(finding(None, None, legacy=Measure(value=3.0))) is None, "one dot alone says nothing"


def test_an_endless_interval_shows_that_it_goes_on() -> None:
    picture = pair(finding("candidate", LIMITS[0], candidate=Measure(value=0.02, low=0.01, high=math.inf)))
    assert picture
    assert picture.dots[0].open_high
    assert not picture.dots[0].open_low
    assert picture.dots[0].high > picture.dots[0].x


def test_a_share_ends_at_a_hundred_percent() -> None:
    share = Measure(value=1.0, unit="share")
    picture = pair(finding("legacy", Limit(value=0, better="lower"), legacy=share))
    assert picture
    assert picture.ends[1].startswith("100")
    assert picture.dots[0].x == 242
    assert picture.label.startswith("measured 100 %")
    more = pair(finding("legacy", Limit(value=0, better="lower"), legacy=Measure(value=1.5, unit="share")))
    assert more
    assert more.dots[0].x < 242, "a share over one is not pushed back into the picture"


@pytest.mark.parametrize("value", [0.0, 1e-300, -1e-300, 1e300, -5.0])
def test_any_finite_number_stays_in_the_box(value: float) -> None:
    picture = pair(finding("candidate", Limit(value=value, better="lower"), candidate=Measure(value=value)))
    assert picture
    assert all(8 <= x <= 242 for dot in picture.dots for x in (dot.x, dot.low, dot.high))
