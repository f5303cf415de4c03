"""The benchmark on simulated machines where the truth is known, and once on real models in real processes."""

from __future__ import annotations

import hashlib
import math
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.audit import Kind
from workbench.audits import benchmark as audit
from workbench.evidence import Evidence, Limit, Status
from workbench.measure import speed
from workbench.measure.speed.serving import latencies
from workbench.measure.speed.study import real_runs
from workbench.migration import Roles, Task
from workbench.models import Outputs, Piece, open_model
from workbench.scored import Scored, Side

LIMITS = {kind.id: kind.limit for kind in audit.KINDS if kind.limit}
AGREED = {"benchmark/speed-up": Limit(value=1, better="higher", set_by="Ada, head of lending")}
PARAMS = audit.Params(batches=(100, 1_000), seconds=5)


class Clocked:
    """A model whose time is simulated: seconds a call and a row, by a clock that both sides share."""

    format = "python"
    fingerprint = "0" * 64
    task = "binary"
    inputs = ()
    classes = (0, 1)

    def __init__(self, call: float, row: float, noise: float = 0.005, seed: int = 0) -> None:
        self.call, self.row, self.noise, self.rng = call, row, noise, np.random.default_rng(seed)
        self.opened = 0

    def timed(self, frame: pd.DataFrame, calls: int, scope: str = "model") -> tuple[list[int], list[int]]:
        base = self.call + self.row * len(frame) * (2 if scope == "whole" else 1)
        wall = [int(1e9 * base * math.exp(self.noise * self.rng.normal())) for _ in range(calls)]
        return wall, [int(1e9 * base)] * calls

    def start(self, frame: pd.DataFrame) -> tuple[float, float]:
        self.opened += 1
        return 0.5, 100 * self.call

    def memory(self) -> dict[str, int]:
        return {"pss": 32 << 20, "gpu": 0, "cpu": 0}

    def served(self, frame: pd.DataFrame, arrivals: list[float]) -> list[int]:
        took = np.full(len(arrivals), self.call + self.row)
        return (1e9 * latencies(took, np.array(arrivals))).astype(int).tolist()

    def peak_rss(self) -> int:
        return 64 << 20

    def predict(self, frame: pd.DataFrame) -> Outputs:
        return Outputs(classes=(0, 1), labels=np.zeros(len(frame), dtype=int))

    def describe(self) -> Piece:
        return Piece("test.Clocked")

    def close(self) -> None: ...


class Plain(Clocked):
    """A model that cannot be timed in a process of its own."""

    timed = None


def scored(n: int = 1_500, frame: pd.DataFrame | None = None) -> Scored:
    frame = pd.DataFrame({"x": np.arange(n)}) if frame is None else frame
    outputs = Outputs(classes=(0, 1), labels=np.zeros(len(frame), dtype=int))
    side = Side(outputs, decision=np.zeros(len(frame), dtype=int))
    task = Task(kind="binary", target="y", positive=1)
    return Scored(frame, np.zeros(len(frame), int), task, Roles(), (0, 1), side, side, None, len(frame), "f" * 64)


def parity(status: Status = Status.PASS) -> Evidence:
    kind = Kind(id="parity/label-flips", title="Labels stay the same", why="w", fix="f")
    return Evidence(
        audit="parity", migration="m", started=datetime.now(UTC), seconds=1, findings=(kind.found(status=status),)
    )


def run(legacy, candidate, evidence=None, limits=LIMITS, params=PARAMS, rows=None, artifacts=None):
    rows = scored() if rows is None else rows
    found = list(audit.run(rows, legacy, candidate, evidence or parity(), limits, artifacts, params))
    assert {finding.id for finding in found} <= {kind.id for kind in audit.KINDS}
    assert len({finding.key for finding in found}) == len(found)
    return {finding.key.removeprefix("benchmark/"): finding for finding in found}


def test_the_winner_of_each_scenario_is_named_with_its_interval():
    found = run(Clocked(call=0.010, row=1e-6), Clocked(call=0.001, row=40e-6, seed=1))
    one, many = found["speed-up[1 row]"], found["speed-up[1,000 rows]"]
    assert one.change.low <= 0.010001 / 0.00104 <= one.change.high
    assert one.status is Status.PASS
    assert many.change.low <= 0.011 / 0.041 <= many.change.high
    assert many.legacy.value == pytest.approx(1000 / 0.011, rel=0.02)
    assert many.legacy.unit == "rows/s"
    assert (
        found["speed-up"].title
        == "The candidate is faster with 1 row and 100 rows; the candidate is slower with 1,000 rows"
    )
    assert found["speed-up"].change == one.change
    assert found["control"].status is Status.PASS
    assert found["control"].legacy.low <= 1 <= found["control"].legacy.high


def test_slower_warns_by_default_and_blocks_where_the_team_agreed_to_the_limit():
    slow = lambda: (Clocked(0.001, 1e-6), Clocked(0.004, 4e-6, seed=1))  # noqa: E731
    found = run(*slow())
    assert found["speed-up"].title.startswith("Stay where you are: the candidate is slower with 1 row, 100")
    assert {found[key].status for key in found if key.startswith("speed-up")} == {Status.WARN}
    assert "nobody has agreed" in found["speed-up[1 row]"].reason
    assert {f.status for k, f in run(*slow(), limits=AGREED).items() if k.startswith("speed-up")} == {Status.FAIL}
    assert {f.status for k, f in run(*slow(), limits={}).items() if k.startswith("speed-up")} == {Status.INFO}


def test_an_equal_candidate_passes_the_default_limit():
    found = run(Clocked(0.002, 1e-6), Clocked(0.002, 1e-6, seed=1))
    assert {found[key].status for key in found if key.startswith("speed-up")} == {Status.PASS}


def test_an_unsteady_machine_gives_no_verdict_and_says_what_to_do():
    found = run(Clocked(0.06, 1e-6, noise=1.5), Clocked(0.06, 1e-6, noise=1.5, seed=1))
    assert found["speed-up"].status is Status.ABSENT
    assert found["speed-up[1 row]"].status is Status.ABSENT
    assert "idle machine" in found["speed-up[1 row]"].reason
    assert found["speed-up[1 row]"].change is None
    assert len(found["speed-up[1 row]"].details[2].rows) >= 10
    assert found["control"].status is Status.ABSENT
    assert "1 row, 100 rows, 1,000 rows" in found["control"].reason
    assert found["cost"].status is Status.ABSENT


@pytest.mark.parametrize(
    "evidence,said",
    [
        (parity(Status.FAIL), "failed parity: fix that first"),
        (parity(Status.ERROR), "failed parity"),
        (parity(Status.ABSENT), "run 44_parity first"),
    ],
)
def test_no_time_is_shown_without_parity(evidence, said):
    found = run(Clocked(1, 1), Clocked(1, 1), evidence)
    assert {finding.status for finding in found.values()} == {Status.ABSENT}
    assert all(said in finding.reason for finding in found.values())
    assert not any(finding.legacy or finding.candidate or finding.change for finding in found.values())


def test_parity_without_limits_is_no_failure():
    assert run(Clocked(0.001, 0), Clocked(0.001, 0), parity(Status.INFO))["speed-up"].status is Status.PASS


def test_without_any_parity_evidence_nothing_is_timed():
    found = list(audit.run(scored(), Clocked(1, 1), Clocked(1, 1), None, LIMITS, None, PARAMS))
    assert {finding.status for finding in found} == {Status.ABSENT}


def test_a_column_of_decisions_takes_no_time():
    column = Clocked(1, 1)
    column.format = "column"
    assert "give the model itself" in run(column, Clocked(1, 1))["speed-up"].reason


def test_no_rows_are_said_so():
    assert "no rows to time" in run(Clocked(1, 1), Clocked(1, 1), rows=scored(0))["speed-up"].reason


def test_percentiles_need_their_samples():
    found = run(Clocked(0.05, 0), Clocked(0.025, 0), params=PARAMS.model_copy(update={"samples": 100, "batches": ()}))
    assert found["latency[p50]"].legacy.value == pytest.approx(50, rel=0.02)
    assert found["latency[p90]"].change.value == pytest.approx(0.5, rel=0.05)
    assert found["latency[p99]"].status is Status.ABSENT
    assert "459 are needed" in found["latency[p99]"].reason
    enough = run(Clocked(0.002, 0), Clocked(0.001, 0))
    assert enough["latency[p99]"].legacy.low < enough["latency[p99]"].legacy.high


def test_cost_follows_the_price_and_the_paired_ratio():
    priced = PARAMS.model_copy(update={"price_per_hour": 3.6, "price_source": "list price of 2026-11-01"})
    found = run(Clocked(0.002, 1e-5, noise=0.001), Clocked(0.004, 2e-5, noise=0.001, seed=1), params=priced)
    cost = found["cost"]
    assert cost.legacy.value == pytest.approx(3.6e6 / (3600 * 1000 / 0.012 * 0.5), rel=0.01)
    assert cost.legacy.unit == "EUR"
    assert cost.change.low <= 2 <= cost.change.high
    assert "list price of 2026-11-01" in cost.title
    unpriced = run(Clocked(0.002, 1e-5), Clocked(0.004, 2e-5, seed=1))["cost"]
    assert unpriced.legacy is None
    assert unpriced.change.value == pytest.approx(2, rel=0.05)
    assert "at equal prices" in unpriced.title


def test_a_price_of_nobody_knows_when_and_where_makes_no_money():
    priced = PARAMS.model_copy(update={"price_per_hour": 3.6})
    cost = run(Clocked(0.002, 1e-5), Clocked(0.004, 2e-5, seed=1), params=priced)["cost"]
    assert cost.legacy is None
    assert "the price has no price_source" in cost.title


def test_the_rate_at_the_service_level_decides_the_cost():
    level = {"service_level_ms": 50.0, "price_per_hour": 3.6, "price_source": "list price of 2026-11-01"}
    found = run(Clocked(0.01, 0), Clocked(0.005, 0, seed=1), params=PARAMS.model_copy(update=level))
    rate, cost = found["service-rate"], found["cost"]
    assert 50 < rate.legacy.value < 1 / 0.01
    assert 100 < rate.candidate.value < 1 / 0.005
    assert rate.change.low > 1.5
    assert cost.legacy.value == pytest.approx(3.6e6 / (3600 * rate.legacy.value * 0.5), rel=1e-6)
    assert "service level" in cost.title
    tried = rate.details[0]
    assert {row[0] for row in tried.rows} == {"legacy", "candidate"}


def test_a_service_level_nobody_holds_has_no_rate():
    level = PARAMS.model_copy(update={"service_level_ms": 5.0})
    rate = run(Clocked(0.01, 0), Clocked(0.001, 0, seed=1), params=level)["service-rate"]
    assert rate.status is Status.ABSENT
    assert "99 of 100 answers of legacy within" in rate.reason


def test_end_to_end_is_a_scenario_of_its_own():
    both = PARAMS.model_copy(update={"scope": "both", "batches": (100,)})
    found = run(Clocked(0, 1e-4), Clocked(0, 1e-4, seed=1), params=both)
    inside, whole = found["speed-up[100 rows]"], found["speed-up[100 rows, end to end]"]
    assert inside.legacy.value / whole.legacy.value == pytest.approx(2, rel=0.05)
    assert len({key for key in found if key.startswith("speed-up[")}) == 4


def test_energy_from_rated_power_is_called_an_estimate(monkeypatch):
    monkeypatch.setattr("workbench.measure.speed.report.rapl", lambda: None)
    rated = PARAMS.model_copy(update={"tdp_watts": 100.0})
    energy = run(Clocked(0.002, 1e-5), Clocked(0.004, 2e-5, seed=1), params=rated)["energy"]
    assert energy.change.value == pytest.approx(2, rel=0.05)
    assert "estimate from TDP" in energy.title
    assert "estimate from TDP" in energy.candidate.method
    assert "tdp_watts is not set" in run(Clocked(0.002, 1e-5), Clocked(0.004, 2e-5, seed=1))["energy"].reason


def test_every_answer_lies_beside_the_evidence(tmp_path):
    found = run(Clocked(0.01, 0), Clocked(0.005, 0, seed=1), artifacts=tmp_path)
    (file,) = (detail for detail in found["control"].details if detail.type == "file")
    assert hashlib.sha256((tmp_path / file.path).read_bytes()).hexdigest() == file.sha256
    frame, machine = speed.read_samples(tmp_path / file.path)
    assert set(frame["scenario"]) == {"1 row", "100 rows", "1,000 rows"}
    assert machine["machine"] == speed.environment()["machine"]


def test_cold_start_and_memory_are_told_apart():
    found = run(Clocked(0.01, 0), Clocked(0.02, 0))
    assert found["latency[cold start]"].legacy.value == pytest.approx(1.5)
    assert found["latency[cold start]"].change.value == pytest.approx(2.5 / 1.5)
    assert found["peak-memory"].candidate.value == 64


def test_a_model_without_a_process_of_its_own_is_timed_here_and_that_is_said():
    found = run(Plain(0, 0), Clocked(0.01, 0), params=audit.Params(batches=(), seconds=0.2, samples=10))
    machine = next(d for d in found["speed-up"].details if d.type == "table")
    assert ("models", "not both in their own process") in machine.rows
    assert found["peak-memory"].status is Status.ABSENT


def test_a_scenario_that_does_not_fit_the_time_is_absent():
    found = run(Clocked(0.001, 1e-6), Clocked(0.001, 0.01))
    assert found["speed-up[1,000 rows]"].status is Status.ABSENT
    assert "allow more seconds" in found["speed-up[1,000 rows]"].reason


def test_no_gpu_is_said_so(monkeypatch):
    monkeypatch.setattr(sys.modules["workbench.measure.speed.figures"], "gpu", lambda: False)
    assert run(Clocked(0.001, 0), Clocked(0.001, 0))["gpu"].reason == "no GPU on this machine"


def test_memory_on_a_gpu_is_told_where_one_was_used(monkeypatch):
    monkeypatch.setattr("workbench.measure.speed.report.nvml", lambda: None)
    candidate = Clocked(0.001, 0)
    candidate.memory = lambda: {"pss": 32 << 20, "gpu": 256 << 20, "cpu": 0}
    found = run(Clocked(0.001, 0), candidate)["gpu"]
    assert (found.legacy.value, found.candidate.value) == (0, 256)
    assert found.change is None


def test_the_time_of_a_gpu_is_its_own(monkeypatch):
    """A candidate whose kernels take 3 ms, whatever wall time says; the legacy model uses none."""
    monkeypatch.setattr("workbench.measure.speed.report.nvml", lambda: None)
    candidate = Clocked(0.01, 0)
    candidate.memory = lambda: {"pss": 32 << 20, "gpu": 256 << 20, "cpu": 0}
    candidate.on_device = lambda frame, calls: [3_000_000] * calls
    (table,) = run(Clocked(0.01, 0), candidate)["gpu"].details
    assert [row[:2] for row in table.rows] == [(f"{n}", "candidate") for n in ("1 row", "100 rows", "1,000 rows")]
    assert table.rows[0][2:] == pytest.approx((3, 3, 3))


@pytest.mark.slow
def test_models_of_known_work_are_compared_on_this_machine():
    """No verdict is asked for, since nobody knows what else runs here: the candidate does twice the work."""
    found, (ran,) = real_runs(1, slowdown=1.0, load=1, seconds=2.0, units=400)
    assert found.runs == 1
    assert ran.outcome in ("slower", "unsteady", "too slow")
    if ran.rounds:
        assert 0.3 < ran.cpu.value < 0.9


@pytest.mark.slow
def test_a_real_model_is_timed_in_a_process_of_its_own(tmp_path: Path):
    import lightgbm

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1},
        lightgbm.Dataset(frame, label=(frame["a"] > 0).astype(int)),
        num_boost_round=5,
    )
    booster.save_model(tmp_path / "model.txt")
    model = open_model("model.txt", folder=tmp_path)
    small = audit.Params(batches=(), seconds=0.5, samples=50)
    found = run(model, model, params=small, rows=scored(frame=frame), artifacts=tmp_path)
    assert (tmp_path / "samples.parquet").stat().st_size > 1_000
    assert found["latency[p50]"].legacy.value > 0
    assert found["latency[cold start]"].candidate.value > 0.05
    assert 20 < found["peak-memory"].legacy.value < 5_000
    assert found["speed-up[1 row]"].status in (Status.PASS, Status.WARN, Status.ABSENT)
