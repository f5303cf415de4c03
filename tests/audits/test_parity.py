"""Parity through the audit itself: exact lifts pass, planted defects are found and named."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from workbench import catalog
from workbench.audits import parity
from workbench.evidence import Finding, Limit, Status, Table
from workbench.measure.matched import WeightError
from workbench.migrate.lift import lift_piece
from workbench.migration import Roles, Task, open_migration
from workbench.models import Outputs, Piece
from workbench.scored import Problem, Scored, Side, open_source

LIMITS = {kind.id: kind.limit for kind in parity.KINDS if kind.limit is not None}
BINARY = Task(kind="binary", target="y", positive=1)


def _binary(score: np.ndarray, threshold: float = 0.5) -> Side:
    outputs = Outputs(classes=(0, 1), scores=np.column_stack([1 - score, score]))
    return Side(outputs, score=score, decision=(score >= threshold).astype(np.int64))


def _scored(target: np.ndarray, legacy: Side, candidate: Side | None, task: Task = BINARY, **more: object) -> Scored:
    frame = more.pop("frame", None)
    if frame is None:
        frame = pd.DataFrame({"x": np.arange(len(target)) % 7})
    rest = {"classes": legacy.outputs.classes, "weight": None, "total": len(target), "fingerprint": "f"} | more
    return Scored(frame, target, task, Roles(), legacy=legacy, candidate=candidate, **rest)  # type: ignore[arg-type]


def _run(scored: Scored, limits: Mapping[str, Limit] = LIMITS) -> dict[str, Finding]:
    findings = list(parity.run(scored, None, limits, parity.Params(draws=100)))
    kinds = {kind.id for kind in parity.KINDS}
    assert {finding.id for finding in findings} <= kinds
    assert len({finding.key for finding in findings}) == len(findings)
    assert all(finding.reason for finding in findings if finding.status is Status.ABSENT)
    return {finding.key: finding for finding in findings}


def _data(n: int = 1899, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.02, 0.98, n)
    return (rng.random(n) < score).astype(np.int64), score


def _statuses(found: dict[str, Finding]) -> set[Status]:
    return {finding.status for finding in found.values()}


@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_an_exact_lift_passes_everything_on_1899_rows(noise: float) -> None:
    target, score = _data()
    score[np.abs(score - 0.5) < 1e-6] = 0.6
    found = _run(_scored(target, _binary(score), _binary(score + noise)))
    assert _statuses(found) == {Status.PASS, Status.INFO}
    assert found["parity/label-flips"].change.high == pytest.approx(1 - 0.025 ** (1 / 1899))


def test_no_flip_in_1000_rows_passes_and_in_few_rows_says_how_many_would() -> None:
    target, score = _data(1000)
    assert _run(_scored(target, _binary(score), _binary(score)))["parity/label-flips"].status is Status.PASS
    target, score = _data(200)
    few = _run(_scored(target, _binary(score), _binary(score)))["parity/label-flips"]
    assert few.status is Status.WARN
    assert "rows would decide it" in few.fix


def test_a_wrong_base_score_fails_and_its_cause_is_named() -> None:
    target, score = _data()
    moved = 1 / (1 + np.exp(-(np.log(score / (1 - score)) + 0.4)))
    found = _run(_scored(target, _binary(score), _binary(moved)))
    for key in ("label-flips", "score-difference", "equivalence"):
        assert found[f"parity/{key}"].status is Status.FAIL
    assert found["parity/rank-agreement"].status is Status.PASS
    assert found["parity/auc"].status is Status.PASS
    table = found["parity/causes"].details[0]
    assert isinstance(table, Table)
    assert table.rows[0][:3] == (
        "base score or link",
        "a constant offset of +0.4 on the log-odds (base score or intercept)",
        1899,
    )
    assert found["parity/causes"].title == "1,899 rows differ: base score or link"


def test_flips_of_one_segment_are_found_there() -> None:
    target, score = _data(4000)
    frame = pd.DataFrame({"job": np.where(np.arange(4000) % 40 == 0, "nurse", "other"), "id": np.arange(4000)})
    candidate = np.where(frame.job == "nurse", 1 - score, score)
    found = _run(_scored(target, _binary(score), _binary(candidate), frame=frame))
    assert found["parity/flips-by-segment"].title == "job = nurse flips most"
    assert found["parity/flips-by-segment"].change.value == 1
    assert found["parity/causes"].details[0].rows[0][:3] == ("category known to one side only", "job = nurse", 100)
    assert found["parity/causes"].details[1].rows[0][1:5] == ("job", "nurse", 100, 100)


def test_a_worse_candidate_fails_non_inferiority() -> None:
    target, score = _data(4000)
    noisy = np.clip(score + np.random.default_rng(1).normal(0, 0.4, 4000), 0.001, 0.999)
    found = _run(_scored(target, _binary(score), _binary(noisy)))
    for metric in ("accuracy", "auc", "brier", "log-loss", "average-precision"):
        assert found[f"parity/{metric}"].status is Status.FAIL, metric
    assert found["parity/auc"].change.high < -0.01


def test_without_a_candidate_nothing_is_judged_and_it_says_what_to_do() -> None:
    target, score = _data(300)
    found = _run(_scored(target, _binary(score), None))
    for key in ("label-flips", "score-difference", "equivalence", "rank-agreement"):
        assert found[f"parity/{key}"].status is Status.ABSENT
        assert "42_replatform" in found[f"parity/{key}"].reason
    assert "parity/auc" not in found
    [table] = found["parity/quality"].details
    assert isinstance(table, Table)
    assert {row[0]: row[1] for row in table.rows}["Accuracy"] == np.mean(target == (score >= 0.5))
    assert found["parity/answers[legacy]"].status is Status.PASS


def test_nan_infinite_and_unrepeatable_answers_are_named_and_left_out() -> None:
    target, score = _data()
    broken = score.copy()
    broken[:3], broken[3] = np.nan, np.inf
    problem = Problem(
        "candidate", "unrepeatable", "the candidate model answers differently when asked twice: 9 of 200 rows", 9
    )
    found = _run(_scored(target, _binary(score), _binary(broken), problems=(problem,)))
    answers = found["parity/answers[candidate]"]
    assert answers.status is Status.FAIL
    assert answers.candidate.value == 13
    assert "no usable answer for 4 of 1,899 rows" in answers.title
    assert "asked twice" in answers.title
    assert found["parity/score-difference"].change.value == 0
    assert found["parity/score-difference"].change.n == 1895
    nothing = _run(_scored(target, _binary(score), _binary(np.full(1899, np.nan))))
    assert nothing["parity/label-flips"].status is Status.ABSENT
    assert nothing["parity/answers[candidate]"].status is Status.FAIL


def test_models_that_only_decide_are_compared_by_their_labels() -> None:
    target, score = _data()
    label = (score >= 0.5).astype(np.int64)
    side = Side(Outputs(classes=(0, 1), labels=label), decision=label)
    found = _run(_scored(target, side, side))
    assert found["parity/label-flips"].status is Status.PASS
    assert found["parity/accuracy"].status is Status.PASS
    assert found["parity/score-difference"].status is Status.ABSENT
    assert "parity/auc" not in found


def test_a_group_that_lost_is_named_though_the_whole_did_not() -> None:
    target, score = _data(8_000)
    group = np.where(np.arange(8_000) % 20 == 0, "few", "many")
    candidate = np.where(group == "few", 1 - score, score)
    frame = pd.DataFrame({"region": group, "age": np.arange(8_000) % 60 + 18})
    roles = Roles(protected=("region", "age"))
    scored = dataclasses.replace(_scored(target, _binary(score), _binary(candidate), frame=frame), roles=roles)
    quality = _run(scored)["parity/quality"]
    assert (quality.status, quality.title) == (Status.WARN, "region = few lost most: Area under the ROC curve")
    _, groups = quality.details
    assert isinstance(groups, Table)
    lines = {(row[0], row[2]): dict(zip(groups.columns, row)) for row in groups.rows}
    few = lines["region = few", "Accuracy"]
    inside = group == "few"
    assert few["rows"] == inside.sum()
    assert few["change"] == pytest.approx(accuracy_score(target[inside], candidate[inside] >= 0.5) - few["legacy"])
    area = lines["region = few", "Area under the ROC curve"]
    assert area["candidate"] == pytest.approx(roc_auc_score(target[inside], candidate[inside]))
    assert few["verdict"] == area["verdict"] == "worse"
    assert lines["region = many", "Accuracy"]["verdict"] == "not worse"
    assert lines["region = many", "Accuracy"]["change"] == 0
    assert any(name.startswith("age = ") for name, _ in lines), "numbers are looked at in bands"
    segments = _run(scored)["parity/flips-by-segment"]
    assert segments.title == "region = few flips most"
    same = dataclasses.replace(scored, candidate=_binary(score))
    assert _run(same)["parity/quality"].status is Status.INFO


def test_labels_the_models_give_of_themselves_are_compared_too() -> None:
    """At the migration's threshold both decide alike; by its own the candidate does not."""
    target, score = _data()
    legacy = _binary(score)
    own = [
        dataclasses.replace(legacy, outputs=dataclasses.replace(legacy.outputs, labels=(score >= cut).astype(int)))
        for cut in (0.5, 0.6)
    ]
    found = _run(_scored(target, own[0], own[1]))
    assert found["parity/label-flips"].status is Status.PASS
    assert found["parity/causes"].status is Status.WARN
    n = int(((score >= 0.5) & (score < 0.6)).sum())
    assert found["parity/causes"].title == f"{n:,} rows differ: decision threshold"


@pytest.mark.slow
def test_what_is_wrong_with_a_saved_candidate_is_found_by_asking_both_models(
    sample_folder: Path, tmp_path: Path
) -> None:
    """From migration.yaml on: the legacy model answers from its own process, the candidate from its file."""
    folder = tmp_path / "sample"
    shutil.copytree(sample_folder, folder)
    migration = open_migration(folder)
    legacy = open_source(migration, migration.legacy)
    lifted = lift_piece(_damaged(legacy.describe()), legacy.inputs, legacy.classes, legacy.task)
    legacy.close()
    lifted.save(folder / "damaged.pt2")
    with (folder / "migration.yaml").open("a") as file:
        file.write("\ncandidate: {uri: damaged.pt2}\n")
    found = {one.id: one for one in catalog.run(open_migration(folder), "parity").findings}
    table = found["parity/causes"].details[0]
    assert isinstance(table, Table)
    named = {(row[0], row[1]) for row in table.rows}
    assert ("missing-value path", "debt_cents") in named
    assert ("float32 threshold", "account_opened_at") in named
    assert found["parity/causes"].change.value == 0, "no row stays unexplained"


def _damaged(piece: Piece) -> Piece:
    """Its trees hold thresholds in float32 and send what is missing the other way."""
    trees = piece.trees
    if trees is not None:
        rounded = trees.threshold.astype(np.float32).astype(np.float64)
        trees = dataclasses.replace(trees, threshold=rounded, default_left=~trees.default_left)
    below = tuple((name, _damaged(part)) for name, part in piece.children)
    return dataclasses.replace(piece, trees=trees, children=below)


def test_multiclass() -> None:
    rng = np.random.default_rng(3)
    scores = rng.dirichlet([1, 1, 1], 1500)
    task = Task(kind="multiclass", target="y")

    def side(values: np.ndarray) -> Side:
        return Side(Outputs(classes=("a", "b", "c"), scores=values), decision=values.argmax(1))

    target = rng.integers(0, 3, 1500)
    same = _run(_scored(target, side(scores), side(scores), task))
    assert same["parity/label-flips"].status is Status.PASS
    assert same["parity/score-difference"].status is Status.PASS
    assert "parity/rank-agreement" not in same, "three classes have no one order"
    assert same["parity/log-loss"].status is Status.PASS
    swapped = _run(_scored(target, side(scores), side(scores[:, [1, 0, 2]]), task))
    assert swapped["parity/label-flips"].status is Status.FAIL
    assert swapped["parity/score-difference"].status is Status.FAIL


def test_regression() -> None:
    rng = np.random.default_rng(4)
    value = rng.normal(2000, 500, 1500)
    target = value + rng.normal(0, 100, 1500)
    task = Task(kind="regression", target="y")

    def side(values: np.ndarray) -> Side:
        return Side(Outputs(values=values), value=values)

    same = _run(_scored(target, side(value), side(value.astype(np.float32).astype(float)), task))
    assert _statuses(same) == {Status.PASS, Status.INFO}
    assert "parity/label-flips" not in same
    worse = _run(_scored(target, side(value), side(value + 100), task))
    for key in ("score-difference", "equivalence", "rmse", "mae"):
        assert worse[f"parity/{key}"].status is Status.FAIL, key
    assert worse["parity/rmse"].change.value == pytest.approx(0.41, abs=0.1)


@pytest.mark.parametrize("n", [0, 1])
def test_no_rows_and_one_row_are_not_assessable_rather_than_fine(n: int) -> None:
    found = _run(_scored(np.ones(n, dtype=np.int64), _binary(np.full(n, 0.7)), _binary(np.full(n, 0.7))))
    assert found["parity/label-flips"].status in (Status.ABSENT, Status.WARN)
    assert not any(finding.status is Status.PASS for key, finding in found.items() if "accuracy" in key or "auc" in key)


def test_unknown_truth_is_left_out_of_quality_only() -> None:
    target, score = _data()
    target[:900] = -1
    found = _run(_scored(target, _binary(score), _binary(score)))
    assert found["parity/accuracy"].change.n == 999
    assert found["parity/label-flips"].change.n == 1899
    nobody = _run(_scored(np.full(1899, -1), _binary(score), _binary(score)))
    assert nobody["parity/quality"].status is Status.ABSENT


def test_without_limits_everything_is_shown_and_nothing_judged() -> None:
    target, score = _data(300)
    assert _statuses(_run(_scored(target, _binary(score), _binary(score)), {})) == {Status.INFO}


@pytest.mark.parametrize("bad, seen", [(np.nan, "1 of 300 weights"), (-1.0, "1 of 300 weights"), (0.0, "all weights")])
def test_weights_that_cannot_weigh_are_refused_in_a_sentence(bad: float, seen: str) -> None:
    target, score = _data(300)
    weight = np.zeros(300)
    weight[0] = bad
    with pytest.raises(WeightError, match=seen):
        _run(_scored(target, _binary(score), None, weight=weight))
