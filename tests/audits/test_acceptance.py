"""What people said of single cases, through the audit itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from workbench import uat
from workbench.audits import acceptance
from workbench.evidence import Finding, Limit, Status
from workbench.migration import Roles, Task
from workbench.models import Outputs
from workbench.scored import Scored, Side

LIMITS: dict[str, Limit] = {kind.id: kind.limit for kind in acceptance.KINDS if kind.limit is not None}
SECRET = "CANARY-4711"
ROLES = Roles(protected=("sex",), key=("id",), personal=("name",))


def side(score: np.ndarray) -> Side:
    outputs = Outputs(classes=("no", "yes"), scores=np.column_stack([1 - score, score]))
    return Side(outputs, score=score, decision=(score >= 0.5).astype(np.int64))


@pytest.fixture
def scored() -> Scored:
    rng = np.random.default_rng(2)
    n = 400
    frame = pd.DataFrame({
        "id": np.arange(n), "name": [f"{SECRET} {k}" for k in range(n)], "sex": rng.choice(["f", "m"], n),
        "income": rng.normal(3e4, 1e4, n), "target": rng.choice(["no", "yes"], n), "note": None,
    })  # fmt: skip
    score = rng.random(n)
    task = Task(kind="binary", target="target", positive="yes")
    return Scored(
        frame, np.zeros(n, dtype=np.int64), task, ROLES, ("no", "yes"), side(score),
        side(np.clip(score + rng.normal(0, 0.05, n), 0, 1)), None, n, "f", holdout="h",
    )  # fmt: skip


def run(
    scored: Scored,
    given: tuple[uat.Answer, ...] = (),
    folder: Path | None = None,
    remarks: tuple[uat.Comment, ...] = (),
    withheld: uat.Withheld | None = None,
) -> dict[str, Finding]:
    found = list(acceptance.run(scored, given, remarks, withheld, folder, LIMITS, acceptance.Params()))
    assert all(finding.reason for finding in found if finding.status is Status.ABSENT)
    return {finding.id: finding for finding in found}


def said(case: uat.Case, by: str, choice: uat.Choice) -> uat.Answer:
    return uat.Answer(
        case=case.id, by=by, choice=choice, reason=f"because {choice}", at=datetime(2026, 1, 1, tzinfo=UTC)
    )


def test_cases_lie_beside_the_evidence_masked_and_without_the_truth(scored: Scored, tmp_path: Path) -> None:
    found = run(scored, (), tmp_path)
    text = (tmp_path / uat.CASES).read_text()
    cases = uat.read_cases(tmp_path / uat.CASES)
    assert len(cases) == 24
    assert SECRET not in text
    assert all("target" not in case.shown and case.shown["name"] == case.shown["sex"] == "hidden" for case in cases)
    assert all(case.shown["id"] == f"#{case.id[:6]}" for case in cases), "a name of the row, made of no hidden value"
    assert not any(case.why.endswith((": f", ": m")) for case in cases), "why it was taken does not tell the group"
    assert all(case.shown["note"] == "missing" for case in cases)
    first = cases[0]
    before = scored.legacy.score
    assert before is not None
    assert first.legacy.score == pytest.approx(before[first.row])
    assert first.legacy.answer == ("target = yes" if before[first.row] >= 0.5 else "target = no")
    assert found["acceptance/progress"].status is Status.MANUAL
    assert found["acceptance/preference"].status is Status.ABSENT
    run(scored, (), tmp_path)
    assert (tmp_path / uat.CASES).read_text() == text, "the same plan gives the same cases"


def test_an_id_is_made_of_nothing_that_is_hidden(scored: Scored, tmp_path: Path) -> None:
    """Else a reviewer could try names and keys out until the id fits."""
    import dataclasses

    run(scored, (), tmp_path)
    before = [case.id for case in uat.read_cases(tmp_path / uat.CASES)]
    other = scored.frame.assign(name="somebody else", id=-1)
    run(dataclasses.replace(scored, frame=other), (), tmp_path)
    assert [case.id for case in uat.read_cases(tmp_path / uat.CASES)] == before


@pytest.mark.parametrize("kinds", [(), ("key",), ("key", "personal", "protected")])
def test_masked_values_are_kept_for_those_who_may_see_them_and_for_nobody_else(
    scored: Scored, tmp_path: Path, kinds: tuple[uat.Masked, ...]
) -> None:
    artifacts, folder = tmp_path / "run", tmp_path / "migration"
    artifacts.mkdir()
    folder.mkdir()
    run(scored, (), artifacts, (), uat.Withheld(folder=folder, kinds=frozenset(kinds)))
    assert SECRET not in (artifacts / uat.CASES).read_text()
    kept = uat.withheld(folder)
    cases = uat.read_cases(artifacts / uat.CASES)
    columns = {"key": "id", "personal": "name", "protected": "sex"}
    assert all(set(kept[case.id]) == {columns[kind] for kind in kinds} for case in cases)
    if "personal" in kinds:
        assert all(kept[case.id]["name"] == scored.frame["name"][case.row] for case in cases)
    assert (folder / uat.FOLDER / uat.WITHHELD).stat().st_mode & 0o077 == 0


def test_comments_are_in_the_evidence_under_their_authors_names(scored: Scored, tmp_path: Path) -> None:
    run(scored, (), tmp_path)
    case = uat.read_cases(tmp_path / uat.CASES)[4]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    remarks = tuple(
        uat.Comment(id=about, by=by, about=about, text="=1+1 <b>odd</b>", shared=True, at=at)
        for by, about in (("ada", f"case/{case.id}"), ("bob", "finding/bias/groups[sex]"))
    )
    found = run(scored, (), None, remarks)["acceptance/comments"]
    assert found.title == "2 comments by 2 reviewers"
    table = found.details[0]
    assert table.type == "table"
    assert [row[:2] for row in table.rows] == [("case 5", "ada"), ("bias/groups[sex]", "bob")]


def test_answers_are_counted_by_side_and_the_change_is_paired(scored: Scored, tmp_path: Path) -> None:
    run(scored, (), tmp_path)
    cases = uat.read_cases(tmp_path / uat.CASES)
    choices: list[uat.Choice] = ["both"] * 15 + ["legacy"] * 6 + ["candidate"] + ["neither"] + ["unsure"]
    other: list[uat.Choice] = ["both"] * 14 + ["legacy"] * 7 + ["candidate"] + ["neither"] * 2
    given = tuple(said(case, "ada", choice) for case, choice in zip(cases, choices, strict=True))
    given += tuple(said(case, "bob", choice) for case, choice in zip(cases, other, strict=True))
    found = run(scored, (*given, said(cases[0].model_copy(update={"id": "stale"}), "eve", "neither")))
    assert found["acceptance/progress"].status is Status.PASS
    preference = found["acceptance/preference"]
    assert preference.legacy is not None
    assert preference.candidate is not None
    assert preference.change is not None
    assert preference.legacy.value == pytest.approx((29 + 13) / 47)
    assert preference.candidate.value == pytest.approx((29 + 2) / 47)
    assert preference.change.value == pytest.approx((2 - 13) / 47)
    assert preference.status is Status.WARN, "it may be worse by more than the margin"
    neither = found["acceptance/neither"].candidate
    assert neither is not None
    assert neither.value == pytest.approx(3 / 47)
    agreement = found["acceptance/agreement"].candidate
    assert agreement is not None
    assert agreement.value == pytest.approx(cohen_kappa_score(choices, other))
    told = preference.details[0]
    assert told.type == "table"
    assert len(told.rows) == 13


def test_three_reviewers_agree_by_fleiss_and_one_cannot(scored: Scored, tmp_path: Path) -> None:
    run(scored, (), tmp_path)
    cases = uat.read_cases(tmp_path / uat.CASES)
    one = tuple(said(case, "ada", "both") for case in cases)
    assert run(scored, one)["acceptance/agreement"].status is Status.ABSENT
    more = tuple(said(case, by, "both" if k % 3 else "legacy") for k, case in enumerate(cases) for by in ("b", "c"))
    agreement = run(scored, one + more)["acceptance/agreement"].candidate
    assert agreement is not None
    assert agreement.method == "Fleiss' kappa"
    assert -1 < agreement.value < 1


def test_the_newest_answer_of_a_person_counts_and_a_broken_line_is_passed_over(tmp_path: Path) -> None:
    early = uat.Answer(case="a", by="ada", choice="legacy", at=datetime(2026, 1, 1, tzinfo=UTC))
    uat.add_answer(tmp_path, early)
    uat.add_answer(tmp_path, early.model_copy(update={"choice": "both", "by": "Ada"}))
    with (tmp_path / uat.FOLDER / uat.FILE).open("a") as file:
        file.write('{"case": "b", "by"')
    assert [answer.choice for answer in uat.answers(tmp_path)] == ["both"]
    uat.add_answer(tmp_path, early.model_copy(update={"case": "c"}))
    assert [answer.choice for answer in uat.answers(tmp_path)] == ["both", "legacy"], "nor does it swallow the next"


def test_without_a_candidate_everything_is_absent_with_the_reason(scored: Scored) -> None:
    import dataclasses

    found = run(dataclasses.replace(scored, candidate=None))
    assert {finding.status for finding in found.values()} == {Status.ABSENT}
