"""Pairs of models whose reasons agree, or differ in a known way."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from workbench.audits import explainability as audit
from workbench.evidence import Status
from workbench.migration import Roles, Task
from workbench.models import Input, ModelError, Outputs, Piece
from workbench.scored import Scored, Side

LIMITS = {kind.id: kind.limit for kind in audit.KINDS if kind.limit}
TASK = Task(kind="binary", target="paid", positive="yes")
ROLES = Roles(protected=("sex",), key=("id",), personal=("town",))
QUICK = audit.Params(rows=80, background=20, evaluations=40_000)


@dataclass
class Plain:
    """A binary model from a function of a frame to log-odds, in this process."""

    odds: object
    names: tuple[str, ...] = ("income", "debt", "town", "sex")
    format: str = "python"
    task: str = "binary"
    classes: tuple = ("no", "yes")
    fingerprint: str = "0" * 64
    decides: bool = False

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(Input(name) for name in self.names)

    def predict(self, frame: pd.DataFrame) -> Outputs:
        p = 1 / (1 + np.exp(-np.asarray(self.odds(frame), dtype=float)))
        labels = np.where(p > 0.5, "yes", "no")
        if self.decides:
            return Outputs(classes=self.classes, labels=labels)
        return Outputs(classes=self.classes, scores=np.stack([1 - p, p], axis=1), labels=labels)

    def describe(self) -> Piece:
        return Piece("test.Plain")

    def close(self) -> None: ...


def table(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    sex = rng.choice(["f", "m"], n)
    return pd.DataFrame(
        {
            "id": [f"canary-{i}" for i in range(n)],
            "income": rng.normal(0, 1, n) + (sex == "m"),
            "debt": rng.normal(0, 1, n),
            "town": rng.choice(["canary-Bonn", "canary-Ulm"], n),
            "sex": sex,
            "paid": rng.choice(["no", "yes"], n),
        }
    )


def legacy_odds(frame: pd.DataFrame) -> np.ndarray:
    return frame["income"] - frame["debt"] * (1 + (frame["town"] == "canary-Ulm")) + 0.1 * (frame["sex"] == "m")


def side(model: Plain, frame: pd.DataFrame) -> Side:
    outputs = model.predict(frame)
    score = None if outputs.scores is None else outputs.scores[:, 1]
    return Side(outputs, score, (outputs.labels == "yes").astype(int), None, model.fingerprint, model.format)


def run(legacy, candidate, frame=None, limits=LIMITS, params=QUICK, roles=ROLES, production=None, artifacts=None):
    frame = table() if frame is None else frame
    after = side(candidate, frame) if candidate else None
    target = (frame["paid"] == "yes").to_numpy().astype(int)
    scored = Scored(frame, target, TASK, roles, ("no", "yes"), side(legacy, frame), after, None, len(frame), "f" * 64)
    found = list(audit.run(scored, legacy, candidate, production, limits, artifacts, params))
    assert {finding.id for finding in found} <= {kind.id for kind in audit.KINDS}
    assert len({finding.key for finding in found}) == len(found)
    return {finding.key: finding for finding in found}


def named(found, name):
    return found[f"explainability/{name}"]


def test_equal_models_agree_in_everything_and_pass_every_limit():
    found = run(Plain(legacy_odds), Plain(lambda frame: legacy_odds(frame) + 1e-9))
    assert named(found, "interaction-change").status is Status.ABSENT  # functions show no trees
    assert "is no tree ensemble" in named(found, "interaction-change").reason
    looked = {finding.status for finding in found.values() if finding.id != "explainability/interaction-change"}
    assert looked == {Status.PASS, Status.INFO}
    assert named(found, "reasons-agreement").change.low == pytest.approx(1)
    assert named(found, "changed-reasons").change.value == 0
    assert named(found, "changed-reasons").change.n == 80
    assert named(found, "additivity[legacy]").legacy.value < 1e-9
    assert 0.5 < named(found, "background-stability[legacy]").legacy.value < 1
    assert named(found, "faithfulness[candidate]").candidate.low > 0.1
    assert named(found, "local-surrogate[candidate]").candidate.value > 0.5


def test_a_candidate_that_leans_on_a_protected_attribute_is_found():
    found = run(Plain(legacy_odds), Plain(lambda frame: legacy_odds(frame) + 2 * (frame["sex"] == "m")))
    assert named(found, "reasons-agreement").status is Status.FAIL
    reliance = named(found, "protected-reliance[sex]")
    assert reliance.status is Status.FAIL
    assert reliance.change.value == pytest.approx(reliance.candidate.value - reliance.legacy.value)
    assert named(found, "importance-change[sex]").status is Status.FAIL


def test_the_same_answers_for_other_reasons_are_found():
    """debt and its copy: answers are equal on every row, reasons are not."""
    frame = table()
    frame["twin"] = frame["debt"]
    names = ("income", "debt", "twin")
    before = Plain(lambda frame: frame["income"] - 2 * frame["debt"], names)
    after = Plain(lambda frame: frame["income"] - 2 * frame["twin"], names)
    found = run(before, after, frame)
    assert named(found, "changed-reasons").status is Status.FAIL
    assert named(found, "changed-reasons").change.low > 0.5
    assert named(found, "top-reasons").status is Status.FAIL
    moved = {key for key, finding in found.items() if finding.id == "explainability/importance-change"}
    assert moved == {"explainability/importance-change[debt]", "explainability/importance-change[twin]"}


def test_a_proxy_is_the_widest_gap_between_groups():
    found = run(Plain(legacy_odds), None)
    reliance = named(found, "protected-reliance[sex]")
    gaps = reliance.details[0]
    assert gaps.rows[0][0] == "income"
    assert reliance.status is Status.INFO  # nothing to compare with, so nothing to judge


def test_a_protected_attribute_that_is_no_input_carries_nothing():
    names = ("income", "debt", "town")
    odds = lambda frame: frame["income"] - frame["debt"]  # noqa: E731
    found = run(Plain(odds, names), Plain(odds, names))
    assert named(found, "protected-reliance[sex]").candidate.value == 0
    assert named(found, "protected-reliance[sex]").status is Status.PASS


def test_without_a_candidate_the_legacy_model_is_still_explained():
    found = run(Plain(legacy_odds), None)
    assert named(found, "reasons").status is Status.INFO
    assert [series.role for series in named(found, "reasons").details[0].series] == ["legacy"]
    assert named(found, "reasons-agreement").status is Status.ABSENT
    assert "42_replatform" in named(found, "reasons-agreement").reason


def test_a_column_of_decisions_cannot_be_asked():
    found = run(Plain(legacy_odds, format="column"), Plain(legacy_odds))
    assert list(found) == ["explainability/reasons-agreement"]
    assert named(found, "reasons-agreement").status is Status.ABSENT
    assert "legacy model is a column of decisions" in named(found, "reasons-agreement").reason


def test_a_model_that_only_decides_puts_both_in_the_space_of_decisions():
    found = run(Plain(legacy_odds), Plain(legacy_odds, decides=True))
    assert "in decision" in named(found, "reasons").details[2].text
    assert named(found, "reasons-agreement").change.value == pytest.approx(1)


def test_nan_for_what_if_rows_is_named_and_nothing_is_compared():
    def odd(frame: pd.DataFrame) -> np.ndarray:
        poor_and_indebted = (frame["income"] < -1) & (frame["debt"] > 1)
        return legacy_odds(frame).mask(poor_and_indebted)

    frame = table()
    frame = frame[~((frame["income"] < -1) & (frame["debt"] > 1))].reset_index(drop=True)
    found = run(Plain(legacy_odds), Plain(odd), frame)
    lost = named(found, "unanswered[candidate]")
    assert lost.status is Status.FAIL
    assert 0 < lost.candidate.value < 0.2
    assert named(found, "reasons-agreement").status is Status.ABSENT


def test_a_model_that_refuses_what_if_rows_is_named():
    def strict(frame: pd.DataFrame) -> np.ndarray:
        if len(frame) > 400:
            raise ModelError("the host died (out of memory): give it more")
        return legacy_odds(frame)

    found = run(Plain(legacy_odds), Plain(strict))
    assert named(found, "unanswered[candidate]").status is Status.ABSENT
    assert "out of memory" in named(found, "unanswered[candidate]").reason


def test_answers_that_depend_on_the_batch_break_additivity():
    found = run(Plain(legacy_odds), Plain(lambda frame: legacy_odds(frame) * (1.2 if len(frame) > 400 else 1)))
    assert named(found, "additivity[candidate]").status is Status.FAIL
    assert named(found, "additivity[legacy]").status is Status.PASS


def test_too_few_rows_are_said_so():
    found = run(Plain(legacy_odds), Plain(legacy_odds), table(39))
    assert named(found, "reasons-agreement").status is Status.ABSENT
    assert "39 rows are too few" in named(found, "reasons-agreement").reason


def test_without_limits_nothing_is_judged():
    found = run(Plain(legacy_odds), Plain(lambda frame: legacy_odds(frame) - 3 * frame["debt"]), limits={})
    assert {finding.status for finding in found.values()} == {Status.INFO, Status.ABSENT}


def test_no_cell_of_the_data_is_shown_and_personal_columns_are_not_named_as_reasons():
    found = run(Plain(legacy_odds), Plain(legacy_odds))
    text = json.dumps([finding.model_dump(mode="json") for finding in found.values()])
    assert "canary" not in text
    cases = named(found, "reasons").details[1]
    told = {cell for row in cases.rows for cell in row if isinstance(cell, str)}
    assert "town" not in told
    assert "(personal column)" in told
    assert len(cases.rows) == 4 * 3


def added(weight: float = 1.0):
    """Log-odds that only add up: explained exactly, so on as many rows as asked for."""
    return Plain(lambda frame: frame["income"] - weight * frame["debt"] + 0.3 * (frame["sex"] == "m"))


def test_columns_that_only_add_up_are_exact_on_all_rows_and_have_no_pairs():
    found = run(added(), added(), params=audit.Params())
    assert named(found, "reasons-agreement").change.n == 267  # of 400, a third are the background
    text = next(detail.text for detail in named(found, "reasons").details if detail.type == "text")
    assert text.startswith("267 rows against 133 background rows, in log-odds. The legacy model's values are exact")
    assert {finding.status for finding in found.values()} == {Status.PASS, Status.INFO}
    pairs = next(finding for finding in found.values() if finding.id == "explainability/interaction-change")
    assert pairs.change.value == 0


def test_where_two_models_part_is_told_by_group():
    after = Plain(lambda frame: legacy_odds(frame) - 3 * frame["debt"] * (frame["sex"] == "f"))
    parts = named(run(Plain(legacy_odds), after), "reasons-agreement").details[1]
    means = [row[3] for row in parts.rows]
    assert means == sorted(means)
    assert means[0] < 0.9
    assert {"sex", "debt", "income"} == {row[0] for row in parts.rows}
    assert not {row[0] for row in parts.rows} & {"town", "id"}  # personal columns and keys make no groups


class Rows:
    """Recent rows."""

    def __init__(self, frame):
        self.frame = frame

    def sample(self, n: int):
        return self.frame.iloc[:n]


def test_production_that_leans_on_another_column_is_found_and_too_few_rows_are_said():
    recent = table(500).assign(debt=lambda frame: 5 * frame["debt"])
    drift = named(run(added(), added(), production=Rows(recent)), "attribution-drift[candidate]")
    assert drift.status is Status.FAIL
    assert drift.details[0].rows[0][0] in ("debt", "income")
    steady = named(run(added(), added(), production=Rows(table(500))), "attribution-drift[candidate]")
    assert steady.status is not Status.FAIL
    few = named(run(added(), added(), production=Rows(recent[:10])), "attribution-drift[candidate]")
    assert few.status is Status.ABSENT
    assert "10 rows are too few" in few.reason


def test_reason_codes_of_every_row_lie_beside_the_evidence(tmp_path):
    found = run(added(), added(2.0), artifacts=tmp_path)
    file = named(found, "reasons").details[-1]
    codes = pd.read_parquet(tmp_path / file.path)
    assert len(codes) == 80
    assert {"row", "legacy answer", "candidate reason 3", "candidate contribution 3"} <= set(codes.columns)
    assert "town" not in codes.astype(str).to_csv()


def test_the_same_seed_gives_the_same_findings():
    first, second = (run(Plain(legacy_odds), Plain(lambda frame: 2 * legacy_odds(frame))) for _ in range(2))
    assert first == second
