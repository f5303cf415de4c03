"""The group picker: against the rows themselves, fairlearn's definitions, and the audit's own gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, precision_score, recall_score

from workbench.evidence import Evidence, Measure
from workbench.measure.intervals import paired, wilson
from workbench.ui.explore.groups import OTHERS, RATES, TOGETHER, Choice, Groups

ORACLE = {
    "selection_rate": lambda y, d: d.mean(),
    "tpr": lambda y, d: recall_score(y, d),
    "fpr": lambda y, d: d[y == 0].mean(),
    "ppv": lambda y, d: precision_score(y, d),
    "accuracy": accuracy_score,
}


@pytest.fixture(scope="module")
def picker(bias: Evidence) -> Groups:
    return Groups(bias, interactive=True)


def value(measure: Measure | None) -> float:
    assert measure is not None
    return measure.value


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("groups", [("n",), ("n", "s"), ("w", "n", "s")])
def test_rates_are_those_of_the_rows_of_the_groups_chosen(
    picker: Groups, rows: pd.DataFrame, rate: str, groups: tuple[str, ...]
) -> None:
    each = picker.at("region", Choice(groups, rate)).rates
    one = picker.at("region", Choice(groups, rate, together=True)).rates
    assert {finding.title for finding in each} == set(groups)
    assert [finding.title for finding in one] == [TOGETHER]
    for finding in (*each, *one):
        inside = rows[rows.region.isin(groups if finding.title == TOGETHER else [finding.title])]
        before, after = (
            ORACLE[rate](inside.y.to_numpy(), (inside[side] >= 0.5).astype(int).to_numpy()) for side in "ab"
        )
        assert value(finding.legacy) == pytest.approx(before, abs=1e-12)
        assert value(finding.candidate) == pytest.approx(after, abs=1e-12)
        assert value(finding.change) == pytest.approx(after - before, abs=1e-12)
        assert finding.change is not None
        assert finding.change.low <= finding.change.value <= finding.change.high  # type: ignore[operator]


def test_intervals_are_wilsons_and_on_the_same_rows_tangos(picker: Groups, rows: pd.DataFrame) -> None:
    [finding] = picker.at("sex", Choice(("f",), "tpr")).rates
    inside = rows[(rows.sex == "f") & (rows.y == 1)]
    before, after = inside.a >= 0.5, inside.b >= 0.5
    assert (finding.legacy.low, finding.legacy.high) == pytest.approx(wilson(int(before.sum()), len(inside)))  # type: ignore[union-attr]
    expected = paired(int((after & ~before).sum()), int((before & ~after).sum()), len(inside))
    assert (finding.change.low, finding.change.high) == pytest.approx(expected)  # type: ignore[union-attr]


def test_all_groups_give_the_gaps_of_the_audit_to_the_last_digit(picker: Groups, bias: Evidence) -> None:
    audited = {finding.key: finding for finding in bias.findings}
    for attribute in ("sex", "region"):
        every = Choice(picker.splits[attribute].counts.labels, "accuracy")
        for finding in picker.at(attribute, every).gaps:
            same = audited[f"{finding.id}[{attribute}]"]
            for side in ("legacy", "candidate", "change"):
                one, two = getattr(finding, side), getattr(same, side)
                assert (one.value, one.low, one.high) == pytest.approx((two.value, two.low, two.high), abs=1e-12)


def test_the_others_make_one_group_and_a_gap_is_between_the_two(picker: Groups, rows: pd.DataFrame) -> None:
    found = picker.at("region", Choice(("s",), "selection_rate", others=True))
    assert [finding.title for finding in found.rates] == ["s", OTHERS]
    decided = (rows.b >= 0.5).groupby(rows.region == "s").mean()
    [gap] = [finding for finding in found.gaps if finding.id == "bias/selection-rate-gap"]
    assert value(gap.candidate) == pytest.approx(abs(decided[True] - decided[False]), abs=1e-12)
    assert picker.at("region", Choice(("s",), "tpr")).gaps == (), "one group has no gap"


def test_moving_the_controls_redraws(picker: Groups) -> None:
    attribute, groups, rate, ticks, shown = picker.widget().children
    assert "by sex" in shown.value
    attribute.value = "region"
    assert "by region" in shown.value
    assert groups.value == ("n", "s"), "w is too small to begin with"
    before = shown.value
    rate.value = "tpr"
    assert "True positive rate" in shown.value
    groups.value = ("n",)
    assert "takes two groups" in shown.value
    ticks.children[1].value = True
    assert OTHERS in shown.value
    assert shown.value != before
    assert all(control.description for control in (attribute, groups, rate, *ticks.children))


def test_saved_it_shows_every_group_as_a_table_and_without_counts_it_says_so(picker: Groups, bias: Evidence) -> None:
    assert "Gap of selection rates" in repr(picker)
    assert "<table>" in picker._repr_html_()
    bare = Groups(bias.model_copy(update={"findings": ()}), interactive=True)
    assert "no counts of decisions" in repr(bare)
    assert "no counts of decisions" in bare.widget().value


def test_weights_are_kept(rows: pd.DataFrame) -> None:
    from workbench.measure import fairness
    from workbench.measure.fairness_groups import split
    from workbench.measure.fairness_paired import cells, counted_again

    weight = np.random.default_rng(0).random(len(rows)) + 0.5
    truth = np.where(np.arange(len(rows)) % 7 == 0, -1, rows.y)
    counts = fairness.count(split(rows.region), truth, rows.a >= 0.5, rows.b >= 0.5, weight)
    again = counted_again(cells(counts, paired=True))
    assert again.labels == counts.labels
    for name in ("rows", "weight", "squares"):
        np.testing.assert_array_equal(getattr(again, name), getattr(counts, name))
