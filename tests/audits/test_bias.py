"""Bias through the audit itself: published figures to all digits, planted gaps found, fair models left alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.audits import bias
from workbench.evidence import Chart, Finding, Limit, Status, Table
from workbench.migration import Roles, Task
from workbench.models import Outputs
from workbench.scored import Scored, Side

LIMITS = {kind.id: kind.limit for kind in bias.KINDS if kind.limit is not None}
BINARY = Task(kind="binary", target="y", positive=1)
QUICK = bias.Params(draws=1000)


def _side(decision: np.ndarray, score: np.ndarray | None = None) -> Side:
    """As a column model answers: labels only, unless there is a score."""
    decision = np.asarray(decision, dtype=np.int64)
    return Side(Outputs(classes=(0, 1), labels=decision), score=score, decision=decision)


def _scored(
    frame: pd.DataFrame,
    target: np.ndarray,
    legacy: Side,
    candidate: Side | None = None,
    task: Task = BINARY,
    **more: object,
) -> Scored:
    target = np.asarray(target)
    rest = {"weight": None, "total": len(frame), "fingerprint": "f", "classes": legacy.outputs.classes} | more
    return Scored(frame, target, task, Roles(), legacy=legacy, candidate=candidate, **rest)  # type: ignore[arg-type]


def _run(
    scored: Scored, *protected: str, limits: Mapping[str, Limit] = LIMITS, params: bias.Params = QUICK
) -> dict[str, Finding]:
    findings = list(bias.run(scored, Roles(protected=protected), limits, params))
    assert {finding.id for finding in findings} <= {kind.id for kind in bias.KINDS}
    assert len({finding.key for finding in findings}) == len(findings)
    assert all(finding.reason for finding in findings if finding.status is Status.ABSENT)
    return {finding.key: finding for finding in findings}


def _table(found: dict[str, Finding], attribute: str, side: str = "legacy") -> pd.DataFrame:
    tables = {one.title: one for one in found[f"bias/groups[{attribute}]"].details if isinstance(one, Table)}
    parts = [tables[f"{title}, {side}"] for title in ("Rates", "Counts", "Rates of error")]
    frames = [pd.DataFrame(list(one.rows), columns=list(one.columns)).set_index("group") for one in parts]
    whole = pd.concat(frames, axis=1)
    return whole.loc[:, ~whole.columns.duplicated()]


COMPAS = {
    ("African-American", "Low"): (990, 805, 532, 1369, 44.85, 27.99, 0.63, 0.65, 0.51),
    ("Caucasian", "Low"): (1139, 349, 461, 505, 23.45, 47.72, 0.59, 0.71, 0.39),
    ("Caucasian", "High"): (1407, 81, 771, 195, 5.44, 79.81, 0.71, 0.65, 0.39),
    ("African-American", "High"): (1511, 284, 1160, 741, 15.82, 61.02, 0.72, 0.57, 0.51),
    ("all", "Low"): (2681, 1282, 1216, 2035, 32.35, 37.40, 0.61, 0.69, 0.45),
}


def _printed(line: pd.Series) -> tuple[float, ...]:
    """As ProPublica prints it."""
    percent = (round(100 * line.fpr, 2), round(100 * line.fnr, 2))
    return (
        line.tn,
        line.fp,
        line.fn,
        line.tp,
        *percent,
        *(round(line[name], 2) for name in ("ppv", "npv", "base_rate")),
    )


def test_the_published_compas_table(cases: Path) -> None:
    frame = pd.read_csv(cases / "fairness/compas/compas-scores-two-years.deid.csv").assign(everyone="all")
    target = frame.two_year_recid.to_numpy()
    found: dict[str, dict[str, Finding]] = {}
    for kind, decision in {"Low": frame.score_text != "Low", "High": frame.score_text == "High"}.items():
        found[kind] = _run(_scored(frame, target, _side(decision)), "race", "everyone")
    for (group, kind), figures in COMPAS.items():
        line = _table(found[kind], "everyone" if group == "all" else "race").loc[group]
        assert _printed(line) == figures, (group, kind)
    black, white = (_printed(_table(found["Low"], "race").loc[group]) for group in ("African-American", "Caucasian"))
    # Published as quotients of the printed percentages; from the counts the first is 1.912.
    assert (round(black[4] / white[4], 3), round(white[5] / black[5], 3)) == (1.913, 1.705)


# attribute, group, rows, selected, then tpr tnr for fdr fpr fnr npv ppv share_of_selected selection_rate base_rate
AEQUITAS = """
race|African-American|3696|2174|.72 .55 .35 .37 .45 .28 .65 .63 .66 .59 .51
race|Asian|32|8|.67 .91 .12 .25 .09 .33 .88 .75 .00 .25 .28
race|Caucasian|2454|854|.52 .77 .29 .41 .23 .48 .71 .59 .26 .35 .39
race|Hispanic|637|190|.44 .79 .29 .46 .21 .56 .71 .54 .06 .30 .36
race|Native American|18|12|.90 .62 .17 .25 .38 .10 .83 .75 .00 .67 .56
race|Other|377|79|.32 .85 .30 .46 .15 .68 .70 .54 .02 .21 .35
sex|Female|1395|591|.61 .68 .24 .49 .32 .39 .76 .51 .18 .42 .36
sex|Male|5819|2726|.63 .68 .33 .36 .32 .37 .67 .64 .82 .47 .47
age_cat|25 - 45|4109|1924|.63 .67 .32 .39 .33 .37 .68 .61 .58 .47 .46
age_cat|Greater than 45|1576|394|.43 .83 .24 .46 .17 .57 .76 .54 .12 .25 .32
age_cat|Less than 25|1529|999|.74 .46 .42 .36 .54 .26 .58 .64 .30 .65 .57
"""
SHOWN = ["tpr", "tnr", "for", "fdr", "fpr", "fnr", "npv", "ppv", "share_of_selected", "selection_rate", "base_rate"]
AGAINST_HISPANIC = {"fdr": 0.808669, "fnr": 0.503301, "for": 1.211197, "fpr": 2.087696, "share_of_selected": 11.442105}


def test_the_published_aequitas_table_and_its_small_groups(cases: Path) -> None:
    frame = pd.read_csv(cases / "fairness/compas/compas_for_aequitas.csv")
    found = _run(_scored(frame, frame.label_value.to_numpy(), _side(frame.score)), "race", "sex", "age_cat")
    for line in AEQUITAS.split("\n")[1:-1]:
        attribute, group, rows, selected, figures = line.split("|")
        got = _table(found, attribute).loc[group]
        assert (got["rows"], got.selected) == (int(rows), int(selected))
        # The source prints two digits, half to even: 0.125 is .12.
        assert [f"{float(got[name]):.2f}"[-3:] for name in SHOWN] == figures.split(), (attribute, group)
    race = _table(found, "race")
    ratios = race.loc["African-American", list(AGAINST_HISPANIC)] / race.loc["Hispanic", list(AGAINST_HISPANIC)]
    assert ratios.to_dict() == pytest.approx(AGAINST_HISPANIC, abs=1e-6)
    assert race.loc["Asian", "fpr"] / race.loc["Hispanic", "fpr"] == pytest.approx(0.404798, abs=1e-6)
    small = found["bias/small-groups[race]"]
    assert small.status is Status.ABSENT
    assert "Asian (32 rows)" in small.reason
    assert "Native American (18 rows)" in small.reason
    assert not race.loc[["Asian", "Native American"], "compared"].any()
    assert found["bias/selection-rate-gap[race]"].title.endswith("lowest for Other, highest for African-American")
    [chart] = [detail for detail in found["bias/groups[race]"].details if isinstance(detail, Chart)]
    assert "Asian" not in chart.series[0].x
    assert found["bias/selection-rate-ratio[race]"].status is Status.FAIL
    assert "42_replatform" in found["bias/group-accuracy[sex]"].reason


def test_german_credit_statistical_parity(cases: Path) -> None:
    frame = pd.read_csv(cases / "fairness/german/german.data", sep=" ", header=None)
    order = np.random.RandomState(0).permutation(1000)
    train = pd.DataFrame({"privileged": np.where(frame[12] >= 25, "yes", "no")}).iloc[order[:700]]
    good = (frame[20] == 1).astype(int).to_numpy()[order[:700]]
    found = _run(_scored(train, good, _side(good)), "privileged")
    gap = found["bias/selection-rate-gap[privileged]"]
    assert gap.legacy.value == pytest.approx(0.1699054740619, abs=1e-12)
    assert gap.title.endswith("lowest for no, highest for yes")


def test_german_credit_reweighed_and_as_a_whole(cases: Path) -> None:
    frame = pd.read_csv(cases / "fairness/german/german.data", sep=" ", header=None)
    good = (frame[20] == 1).astype(int).to_numpy()
    split = pd.DataFrame({"from25": frame[12] >= 25, "over25": frame[12] > 25, "sex": frame[8].isin(["A92", "A95"])})
    found = _run(_scored(split, good, _side(good)), "from25", "over25", "sex")
    gaps = {name: found[f"bias/selection-rate-gap[{name}]"].legacy.value for name in split}
    assert {name: round(gap, 6) for name, gap in gaps.items()} == {
        "from25": 0.128550,
        "over25": 0.149448,
        "sex": 0.074801,
    }
    assert round(found["bias/selection-rate-ratio[over25]"].legacy.value, 6) == 0.794826
    assert found["bias/selection-rate-gap[sex]"].title.endswith("lowest for True, highest for False")
    # Kamiran and Calders 2012: w = P(s) P(y) / P(s, y), of the rows of the tutorial's split.
    order = np.random.RandomState(0).permutation(1000)[:700]
    train, y = split.iloc[order], good[order]
    joint = pd.crosstab(train.from25, y, normalize=True)
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0)) / joint
    weight = product.to_numpy()[train.from25.astype(int), y]
    even = _run(_scored(train, y, _side(y), weight=weight), "from25")["bias/selection-rate-gap[from25]"].legacy
    assert even.value == pytest.approx(0, abs=1e-12)


def _people(n: int = 10_000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A fair, informative score for people of two attributes."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"sex": rng.choice(["female", "male"], n), "age": rng.integers(18, 80, n)})
    score = rng.beta(2, 2, n)
    return frame, (rng.random(n) < score).astype(np.int64), score


def _decided(score: np.ndarray) -> Side:
    return _side(score >= 0.5, score)


def test_an_exact_lift_of_a_fair_model_raises_no_alarm() -> None:
    for seed in range(5):
        frame, target, score = _people(seed=seed)
        found = _run(_scored(frame, target, _decided(score), _decided(score)), "sex", "age")
        assert {finding.status for finding in found.values()} <= {Status.PASS, Status.INFO}, seed
        assert found["bias/equalized-odds-gap[sex]"].change.value == 0
        assert found["bias/equalized-odds-gap[sex]"].status is Status.PASS


def test_a_gap_the_legacy_model_has_is_found_though_the_move_keeps_it() -> None:
    frame, target, score = _people()
    score = np.where(frame.sex == "female", score * 0.8, score)
    found = _run(_scored(frame, target, _decided(score), _decided(score)), "sex")
    ratio = found["bias/selection-rate-ratio[sex]"]
    assert ratio.status is Status.FAIL
    assert ratio.judged == "candidate"
    assert ratio.title.endswith("lowest for female, highest for male")
    assert found["bias/selection-rate-gap[sex]"].status is Status.PASS


def test_a_candidate_that_treats_a_group_worse_is_found() -> None:
    frame, target, score = _people()
    worse = np.where(frame.sex == "female", score - 0.1, score)
    found = _run(_scored(frame, target, _decided(score), _decided(worse)), "sex")
    for name in ("selection-rate-gap", "equal-opportunity-gap", "equalized-odds-gap"):
        finding = found[f"bias/{name}[sex]"]
        assert finding.status is Status.FAIL, name
        assert finding.change.low > 0.02
        assert finding.candidate.value == pytest.approx(finding.legacy.value + finding.change.value)
    mirrored = np.where(frame.sex == "female", 1 - score, score)
    found = _run(_scored(frame, target, _decided(score), _decided(mirrored)), "sex")
    assert found["bias/group-accuracy[sex]"].status is Status.FAIL
    assert found["bias/group-accuracy[sex]"].title.endswith("female")


def test_an_uncertain_ratio_of_equal_groups_says_how_many_rows_would_settle_it() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"sex": rng.choice(["f", "m"], 400)})
    decision = (rng.random(400) < 0.2).astype(int)
    found = _run(_scored(frame, decision, _side(decision)), "sex")["bias/selection-rate-ratio[sex]"]
    assert found.legacy.low < 0.8
    assert found.status is Status.INFO
    assert "beyond chance" in found.reason


def test_models_that_select_nobody_or_rank_backwards_are_named() -> None:
    frame, target, score = _people()
    found = _run(_scored(frame, target, _decided(score), _side(np.zeros(10_000))), "sex")
    assert found["bias/one-answer"].status is Status.FAIL
    assert found["bias/one-answer"].candidate.value == 0
    ratio = found["bias/selection-rate-ratio[sex]"]
    assert ratio.status is Status.ABSENT
    assert ratio.legacy.value > 0.8
    backwards = _run(_scored(frame, target, _decided(score), _decided(1 - score)), "sex")
    assert backwards["bias/order"].status is Status.FAIL
    assert backwards["bias/order"].candidate.value == pytest.approx(1 - backwards["bias/order"].legacy.value)
    assert backwards["bias/one-answer"].status is Status.PASS


def test_what_is_not_there_is_not_assessed_and_says_why() -> None:
    frame, target, score = _people(500)
    nothing = _run(_scored(frame, target, _decided(score)))
    assert "roles.protected" in nothing["bias/groups"].reason
    absent = _run(_scored(frame, target, _decided(score)), "religion")
    assert "religion" in absent["bias/groups[religion]"].reason
    untrue = _run(_scored(frame, np.full(500, -1), _decided(score), _decided(score)), "sex")
    assert untrue["bias/selection-rate-gap[sex]"].change is not None
    assert untrue["bias/equal-opportunity-gap[sex]"].status is Status.ABSENT
    assert untrue["bias/order"].status is Status.ABSENT
    one_class = _run(_scored(frame, np.ones(500, dtype=int), _decided(score), _decided(score)), "sex")
    assert one_class["bias/equalized-odds-gap[sex]"].status is Status.ABSENT
    assert one_class["bias/equal-opportunity-gap[sex]"].change is not None
    small = _run(_scored(frame.head(60), target[:60], _decided(score[:60])), "sex")
    assert small["bias/small-groups[sex]"].status is Status.ABSENT
    assert "bias/selection-rate-gap[sex]" not in small
    empty = _run(_scored(frame.head(0), target[:0], _decided(score[:0])), "sex")
    assert {finding.status for finding in empty.values()} == {Status.ABSENT}


def test_missing_and_rare_values_are_groups_without_names_of_persons() -> None:
    frame, target, score = _people(2000)
    frame.loc[:99, "sex"] = None
    frame.loc[100, "sex"] = "ZzUniqueZz"
    found = _run(_scored(frame, target, _decided(score), _decided(score)), "sex")
    table = _table(found, "sex")
    assert table.loc["(missing)", "rows"] == 100
    assert "ZzUniqueZz" not in "".join(finding.model_dump_json() for finding in found.values())


def test_inequality_of_benefits_is_shown_for_both_models() -> None:
    frame, target, score = _people(2000)
    legacy, candidate = (score >= 0.5).astype(int), (score >= 0.7).astype(int)
    found = _run(_scored(frame, target, _side(legacy), _side(candidate)), "sex")
    [table] = [detail for detail in found["bias/groups[sex]"].details if detail.title == "Inequality of benefits"]
    lines = {row[0]: row[1:] for row in table.rows}
    for name, decision in (("legacy", legacy), ("candidate", candidate)):
        share = (decision - target + 1) / (decision - target + 1).mean()
        assert lines[name][0] == pytest.approx((share**2 - 1).mean() / 2)
        assert lines[name][3] == pytest.approx((share * np.log(np.maximum(share, 1e-300))).mean())
        assert lines[name][1] < lines[name][0] < lines[name][2]
    assert lines["change"][0] == pytest.approx(lines["candidate"][0] - lines["legacy"][0])


def test_ages_become_named_bands_and_intersections_are_compared_on_request() -> None:
    frame, target, score = _people(4000)
    found = _run(_scored(frame, target, _decided(score)), "sex", "age", params=bias.Params(draws=500, depth=2))
    assert _table(found, "age").index.tolist()[:2] == ["under 25", "25 to under 35"]
    assert "female × under 25" in _table(found, "sex × age").index
    assert "bias/selection-rate-gap[sex × age]" in found


def test_multiclass_with_and_without_a_positive_class() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"sex": rng.choice(["f", "m"], 6000)})
    target = rng.integers(0, 3, 6000)
    legacy = np.where(rng.random(6000) < 0.8, target, rng.integers(0, 3, 6000))
    worse = np.where((frame.sex == "f") & (target == 2) & (rng.random(6000) < 0.6), 0, legacy)

    def side(decision: np.ndarray) -> Side:
        return Side(Outputs(classes=("a", "b", "c"), labels=decision), decision=decision)

    task = Task(kind="multiclass", target="y")
    found = _run(_scored(frame, target, side(legacy), side(worse), task), "sex")
    assert found["bias/accuracy-gap[sex]"].status is Status.FAIL
    assert found["bias/equal-opportunity-gap[sex, c]"].status is Status.FAIL
    assert found["bias/equal-opportunity-gap[sex, b]"].status is Status.PASS
    task = Task(kind="multiclass", target="y", positive="c")
    found = _run(_scored(frame, target, side(legacy), side(worse), task), "sex")
    assert found["bias/selection-rate-gap[sex]"].status is Status.FAIL


def test_regression_judges_mean_prediction_and_residual() -> None:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"sex": rng.choice(["f", "m"], 4000)})
    target = rng.normal(0, 10, 4000)
    value = target + rng.normal(0, 3, 4000)
    task = Task(kind="regression", target="y")

    def side(values: np.ndarray) -> Side:
        return Side(Outputs(values=values), value=values)

    same = _run(_scored(frame, target, side(value), side(value), task), "sex")
    assert {finding.status for finding in same.values()} == {Status.PASS, Status.INFO}
    unknown = np.where(np.arange(4000) < 500, np.nan, target)
    partly = _run(_scored(frame, unknown, side(value), side(value), task), "sex")
    assert (partly["bias/residual-gap[sex]"].legacy.n, partly["bias/mean-prediction-gap[sex]"].legacy.n) == (3500, 4000)
    lowered = value - 6 * (frame.sex == "f").to_numpy()
    found = _run(_scored(frame, target, side(value), side(lowered), task), "sex")
    for name in ("mean-prediction-gap", "residual-gap"):
        assert found[f"bias/{name}[sex]"].status is Status.FAIL
    scale, women = target.std(), (frame.sex == "f").to_numpy()
    means = (lowered - target)[women].mean() - (lowered - target)[~women].mean()
    assert found["bias/residual-gap[sex]"].candidate.value == pytest.approx(abs(means) / scale)
    assert found["bias/residual-gap[sex]"].title.endswith("lowest for f, highest for m")


def test_sample_weights_are_heeded() -> None:
    frame, target, score = _people(3000)
    weight = np.where(frame.sex == "female", 2.0, 0.5) * np.where(target == 1, 1.5, 1.0)
    found = _run(_scored(frame, target, _decided(score), weight=weight), "sex")
    women = (frame.sex == "female").to_numpy()
    expected = np.average(score[women] >= 0.5, weights=weight[women])
    assert _table(found, "sex").loc["female", "selection_rate"] == pytest.approx(expected)


def test_without_limits_nothing_is_judged() -> None:
    frame, target, score = _people(2000)
    found = _run(_scored(frame, target, _decided(score), _decided(score)), "sex", limits={})
    assert {finding.status for finding in found.values()} == {Status.INFO}


def _along(found: dict[str, Finding], attribute: str, side: str) -> pd.DataFrame:
    details = found[f"bias/thresholds[{attribute}]"].details
    [table] = [one for one in details if isinstance(one, Table) and one.title == f"By threshold, {side}"]
    return pd.DataFrame(list(table.rows), columns=list(table.columns)).set_index("threshold")


@pytest.mark.parametrize("weighted", [False, True])
def test_other_thresholds_equal_fairlearn_at_each_of_them(weighted: bool) -> None:
    from fairlearn import metrics as fl
    from sklearn.metrics import accuracy_score

    frame, target, score = _people(3000)
    score = np.where(np.arange(3000) % 3 == 0, np.round(score, 2), score)  # many lie on a threshold
    other = np.clip(np.where(frame.sex == "female", score - 0.1, score), 0, 1)
    weight = np.random.default_rng(0).exponential(size=3000) if weighted else None
    task = BINARY.model_copy(update={"threshold": 0.437})
    sides = {"legacy": score, "candidate": other}
    found = _run(
        _scored(frame, target, *(_side(s >= 0.437, s) for s in sides.values()), task=task, weight=weight), "sex"
    )
    for side, values in sides.items():
        mine = _along(found, "sex", side)
        assert (len(mine), 0.437 in mine.index) == (102, True)
        for at in (0.0, 0.1, 0.29, 0.437, 0.57, 0.58, 0.9, 1.0):
            given = {"y_pred": (values >= at).astype(int), "sample_weight": weight}
            by = given | {"sensitive_features": frame.sex}
            expected = [
                accuracy_score(target, **given),
                fl.selection_rate(target, **given),
                fl.demographic_parity_difference(target, **by),
                fl.equal_opportunity_difference(target, **by),
                fl.equalized_odds_difference(target, **by),
            ]
            assert mine.loc[at].tolist() == pytest.approx(expected, abs=1e-12), (side, at)
    [there] = [one for one in found["bias/thresholds[sex]"].details if one.title == "At the task's threshold, 0.437"]
    gap = found["bias/selection-rate-gap[sex]"].candidate
    assert ("demographic parity gap", "candidate", gap.value, gap.low, gap.high) in there.rows
