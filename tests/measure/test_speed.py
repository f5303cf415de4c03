"""The timing method on simulated machines, where the truth is known; published figures for the sample-size rule."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pandas as pd
import pytest

from workbench.measure import speed
from workbench.measure.intervals import Estimate
from workbench.measure.speed import energy, here, serving
from workbench.measure.speed.simulation import MOODS, Machine, Mood, simulated
from workbench.models import device_clock, open_model

FRAME = pd.DataFrame({"x": [1.0]})


def machine(seed: int = 0, ratio: float = 1.0, call: float = 0.01, **mood: float) -> Machine:
    return Machine(Mood(**mood), seed, ratio, call)


@pytest.mark.parametrize("name", MOODS)
def test_a_against_a_gives_a_false_verdict_in_5_runs_of_100_at_most(name):
    found = simulated(MOODS[name], runs=40, seconds=4.0)
    assert found.runs == 40
    assert found.share("faster", "slower")[0] <= 0.05
    assert found.share("unsteady")[0] <= (0.1 if name != "loaded" else 0.7)


def test_a_slow_down_by_5_percent_is_found_with_power_of_90_percent_on_a_quiet_machine():
    for ratio, name, other in ((1.05, "slower", "faster"), (1 / 1.05, "faster", "slower")):
        found = simulated(MOODS["quiet"], ratio=ratio, runs=25, seconds=4.0)
        assert found.share(name)[0] >= 0.9
        assert not found.counts.get(other)


def test_a_very_busy_machine_gives_no_verdict():
    busy = Mood(noise=0.15, pace=0.1, load=0.9, steals=40.0)
    assert simulated(busy, runs=30, seconds=3.0, call=0.05).share("unsteady", "too slow")[0] >= 0.9


def test_intervals_cover_the_true_ratio():
    inside = 0
    for seed in range(80):
        found = machine(seed, ratio=1.3, steals=5.0, pace=0.01, call=0.02).compare(most=20, seconds=9)
        inside += found.speed_up.low <= 1 / 1.3 <= found.speed_up.high
    assert inside / 80 >= 0.95


def test_two_processes_that_differ_by_one_percent_are_alike():
    found = machine(ratio=1.01, noise=0.002).compare(seconds=9, most=60)
    assert found.speed_up.high < 1, "the difference is there"
    assert found.outcome == "alike"


def test_the_trimmed_mean_and_its_interval_are_scipys():
    from scipy.stats import trim_mean
    from scipy.stats.mstats import trimmed_mean_ci

    logs = np.random.default_rng(2).standard_t(3, size=40) / 50
    found = speed.geometric_mean(logs, level=0.95)
    assert math.log(found.value) == pytest.approx(trim_mean(logs, 0.2))
    low, high = trimmed_mean_ci(logs, limits=(0.2, 0.2), inclusive=(True, True), alpha=0.05)
    assert (math.log(found.low), math.log(found.high)) == (pytest.approx(low), pytest.approx(high))


def test_linear_drift_cancels_out_of_every_round():
    """Without noise the ratio is exact although the machine gets slower all the time."""
    found = machine(ratio=2.0, noise=0.0, drift=0.05).compare(most=20)
    np.testing.assert_allclose(np.exp(speed.log_ratios(found.wall)), 0.5, rtol=0.003)
    assert found.control.value == pytest.approx(1, abs=0.001)


def test_a_core_that_is_taken_for_milliseconds_moves_no_block():
    """The median call of a block is not the one that was interrupted."""
    found = machine(noise=0.0, steals=8.0, burst=0.02, call=0.002).compare(most=20)
    assert max(call.wall for call in found.raw) > 1.5 * 2e6
    np.testing.assert_allclose(found.wall, 0.002, rtol=0.001)


def test_rounds_go_on_until_the_ratio_is_precise():
    quiet, loud = machine(1, noise=0.005).compare(), machine(1, noise=0.08, call=0.03).compare(seconds=60)
    assert quiet.rounds == speed.LEAST
    assert loud.rounds > speed.LEAST
    assert loud.precise


def test_a_side_too_slow_for_the_time_is_named():
    with pytest.raises(speed.TooSlowError, match="allow more seconds") as caught:
        machine(call=2.0).compare(seconds=6)
    assert caught.value.needed == pytest.approx(128, rel=0.1)


def test_cpu_ratio_is_told_beside_the_wall_ratio():
    found = machine(3, ratio=1.5, steals=60.0, call=0.03).compare(seconds=9)
    assert found.cpu_speed_up.low <= 1 / 1.5 <= found.cpu_speed_up.high
    assert speed.half_width(found.cpu_speed_up) < speed.half_width(found.speed_up)


@pytest.mark.parametrize(
    "seconds,passes,calls,least",
    [
        ((0.0001, 0.0004), 2, (125, 32), 16),
        ((0.01, 0.002), 1, (3, 13), 16),
        ((0.02, 0.02), 1, (2, 2), 16),
        ((0.2, 0.1), 1, (1, 1), 8),
    ],
)
def test_a_model_has_more_than_20_blocks_of_50_ms_before_a_verdict(seconds, passes, calls, least):
    plan = speed.Plan.of(seconds, 0.05)
    assert (plan.passes, plan.calls, plan.least) == (passes, calls, least)
    assert all(2 * passes * n * each >= 0.05 for n, each in zip(calls, seconds))
    assert 2 * least * (2 if min(seconds) >= 0.05 else 1) >= 20


def test_every_call_is_kept():
    found = machine(ratio=4.0, noise=0.0).compare(most=20)
    n = found.rounds
    assert found.wall.shape == found.cpu.shape == (n, 4)
    of = [sum(call.side == side for call in found.raw) for side in range(4)]
    assert of == 2 * [n * found.calls[0], n * found.calls[1]]
    assert len(found.single(speed.LEGACY)) == 2 * of[0]
    assert found.seconds(speed.CANDIDATE).value == pytest.approx(0.04, rel=0.001)


def test_orders_are_seeded_palindromes_of_all_sides():
    first = list(itertools.islice(speed.orders(4), 50))
    assert first == list(itertools.islice(speed.orders(4), 50))
    assert all(order == order[::-1] and sorted(order[:3]) == [0, 1, 2] for order in first)
    assert len(set(first)) == 6


def test_warm_up_waits_until_three_windows_agree():
    costs = iter([0.5, 0.3, 0.2, 0.12, 0.1, 0.1, 0.1, 0.1, 0.1])
    per_call, settled = speed.warm_up(lambda frame, calls: ([int(next(costs) * 1e9 * calls)], [1]), FRAME)
    assert (per_call, settled) == (0.1, True)
    endless = (0.1 * 1.2**n for n in itertools.count())
    assert not speed.warm_up(lambda frame, calls: ([int(next(endless) * 1e9 * calls)], [1]), FRAME)[1]


@pytest.mark.parametrize(
    "share,over,needed",
    [(0.9, 0, 44), (0.9, 1, 64), (0.99, 0, 459), (0.99, 1, 662), (0.999, 0, 4603), (0.999, 1, 6636)],
)
def test_sample_sizes_are_those_of_mlperf(share, over, needed):
    assert speed.queries_needed(share, over) == needed


def test_a_percentile_without_its_samples_is_absent():
    assert speed.percentile(np.ones(458), 0.99) is None
    assert speed.percentile(np.ones(459), 0.99).value == 1
    assert math.isnan(speed.percentile(np.ones(459), 0.99).high)
    assert speed.percentile(np.ones(662), 0.99).high == 1


@pytest.mark.parametrize("share,n", [(0.5, 60), (0.9, 100), (0.99, 800)])
def test_percentile_intervals_cover(share, n):
    rng = np.random.default_rng(0)
    truth = -math.log(1 - share)
    found = [speed.percentile(rng.exponential(size=n), share) for _ in range(200)]
    assert sum(one.low <= truth <= one.high for one in found) / 200 >= 0.97
    assert all(one.low <= one.value <= one.high for one in found)


def test_more_calls_are_taken_in_turns():
    turns = []

    def side(number: int):
        def timed(frame, calls):
            turns.append(number)
            return [(number + 1) * 1000] * calls, [1000] * calls

        return timed

    first, second = speed.more_calls((side(0), side(1)), FRAME, (60, 45), seconds=60)
    assert (len(first), len(second)) == (60, 45)
    assert set(first) == {1e-6}
    assert set(second) == {2e-6}
    changes = sum(a != b for a, b in itertools.pairwise(turns))
    assert changes >= 3


def test_the_quotient_of_two_estimates_is_conservative():
    assert speed.quotient(Estimate(4, 3, 5), Estimate(2, 1, 2.5)) == (2, 1.2, 5)
    assert math.isnan(speed.quotient(Estimate(4), Estimate(2, 1, 3)).low)


def test_cost_of_a_million_carries_the_interval():
    assert speed.cost_per_million(Estimate(1000, 500, 2000), 3.6, 0.5) == pytest.approx((2, 1, 4))
    with pytest.raises(ValueError, match="utilisation 0"):
        speed.cost_per_million(Estimate(1000), 1, 0)


def test_one_round_has_no_interval_and_is_not_stable():
    alone = speed.geometric_mean(np.log([2.0]))
    assert alone.value == pytest.approx(2)
    assert math.isnan(alone.low)
    assert not speed.is_stable(alone)
    assert not speed.is_stable(Estimate(1.03, 1.01, 1.04))
    assert not speed.is_stable(Estimate(1.0, 0.94, 1.04))
    assert speed.is_stable(Estimate(1.0, 0.96, 1.04))


def test_the_environment_names_what_times_depend_on():
    found = speed.environment()
    assert found["processor"]
    assert found["numpy"] == np.__version__
    assert {"cores", "cpu limit", "load (1, 5, 15 min)", "python", "governor", "steal (since boot)"} <= set(found)
    assert found["machine"] == speed.environment()["machine"]
    assert len(found["machine"]) == 12


def test_what_else_was_at_work_is_told():
    watch, spent = speed.Watch(lambda: 0.0), time.process_time()
    while time.process_time() - spent < 0.15:
        sum(range(1000))
    told = dict(watch.told())
    if not told:
        pytest.skip("this system does not count what its cores did")
    assert float(told["cores busy with other work meanwhile"]) > 0.1, "our own work, called someone else's"


def arrived(rate: float, n: int, seed: int = 0):
    return serving.arrivals(rate, n, np.random.default_rng(seed))


def test_the_queue_is_that_of_the_textbook():
    """Pollaczek-Khinchine: an M/D/1 queue at load 0.5 waits load / (2 (1 - load)) service times on average."""
    waited = serving.latencies(np.full(200_000, 1.0), arrived(0.5, 200_000)) - 1.0
    assert waited.mean() == pytest.approx(0.5, rel=0.05)
    exponential = np.random.default_rng(1).exponential(size=200_000)
    total = serving.latencies(exponential, arrived(0.5, 200_000))
    assert total.mean() == pytest.approx(1 / (1 - 0.5), rel=0.05), "M/M/1"
    assert np.quantile(total, 0.99) == pytest.approx(-math.log(0.01) / 0.5, rel=0.08), "M/M/1: exponential"


def test_latency_counts_from_the_scheduled_arrival():
    """One answer that takes a second makes all who came meanwhile wait: a closed loop would have shown one of them."""
    service, arrive = np.full(100, 0.001), np.arange(100) * 0.01
    service[10] = 1.0
    assert (serving.latencies(service, arrive) > 0.5).sum() > 40


class Queue:
    """A host whose answers take a known time."""

    def __init__(self, service: float) -> None:
        self.service = service

    def served(self, frame, arrive):
        return (1e9 * serving.latencies(np.full(len(arrive), self.service), np.array(arrive))).astype(int).tolist()


def test_the_highest_rate_within_the_service_level_is_that_of_the_queue():
    queue = Queue(0.01)
    found = speed.highest_rate(queue.served, FRAME, np.full(50, 0.01), level=0.05, queries=2_000, probes=8)
    assert found.rate is not None
    assert found.rate.low == max(probe.rate for probe in found.probes if probe.passed)
    assert all(probe.rate >= found.rate.high for probe in found.probes if not probe.passed)
    late = serving.latencies(np.full(200_000, 0.01), arrived(found.rate.value, 200_000, 5)) > 0.05
    assert late.mean() < 0.012
    much = serving.latencies(np.full(200_000, 0.01), arrived(1.3 * found.rate.high, 200_000, 5)) > 0.05
    assert much.mean() > 0.01
    most = max(late for late in range(40) if speed.queries_needed(0.99, late) <= 2_000)
    assert all(probe.passed == (probe.late <= most) for probe in found.probes)


def test_a_side_that_cannot_hold_the_service_level_has_no_rate():
    found = speed.highest_rate(Queue(0.01).served, FRAME, np.full(50, 0.01), level=0.005)
    assert found.rate is None
    assert not any(probe.passed for probe in found.probes)
    with pytest.raises(ValueError, match="at least 459"):
        speed.highest_rate(Queue(0.01).served, FRAME, np.full(50, 0.01), level=0.05, queries=458)


class Counter:
    """An energy counter and a clock."""

    def __init__(self) -> None:
        self.now, self.joules = 0.0, 1e6

    def spend(self, seconds: float, watts: float) -> None:
        self.now += seconds
        self.joules += seconds * watts


def test_idle_power_is_subtracted_from_energy():
    counter = Counter()
    meter = speed.Meter("test", lambda: counter.joules)
    asks = (lambda: counter.spend(0.010, 20 + 15), lambda: counter.spend(0.005, 20 + 12))
    found = energy.metered(meter, asks, 100, clock=lambda: counter.now, sleep=lambda s: counter.spend(s, 20))
    assert found.legacy.value == pytest.approx(15 * 0.010 / 100 * 1e6)
    assert found.candidate.value == pytest.approx(12 * 0.005 / 100 * 1e6)
    assert "20.0 W idle" in found.method


def test_counters_of_the_packages_are_read_and_go_on_where_they_turn_over(tmp_path):
    for name, value in (("intel-rapl:0", 900), ("intel-rapl:1", 100), ("intel-rapl:0:0", 5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{value}\n")
        (tmp_path / name / "max_energy_range_uj").write_text("1000\n")
    meter = energy.rapl(tmp_path)
    assert meter is not None
    before = meter.joules()
    assert before == pytest.approx(1000e-6)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("50\n")
    assert meter.joules() - before == pytest.approx(150e-6)
    assert energy.rapl(tmp_path / "none") is None


def test_energy_from_rated_power_says_what_it_is():
    found = energy.from_rated_power((Estimate(1000, 900, 1100), Estimate(2000, 1900, 2100)), 120, 8)
    assert found.legacy.value == pytest.approx(1e6 / 1000 * 120 / 8)
    assert found.candidate.high == pytest.approx(1e6 / 1900 * 15)
    assert found.method.startswith("estimate from TDP")


def race_of(ratio: float = 2.0) -> speed.Race:
    found = machine(ratio=1 / ratio, noise=0.0).compare(most=20)
    return speed.Race(
        (speed.Timing(speed.Scenario("1 row", 1), found), speed.Timing(speed.Scenario("9 rows", 9), None))
    )


def test_every_answer_is_written_with_its_machine_and_read_back(tmp_path):
    race, path = race_of(), tmp_path / "samples.parquet"
    speed.write_samples(path, race, {"machine": "abc", "processor": "some"})
    frame, machine_of = speed.read_samples(path)
    assert machine_of == {"machine": "abc", "processor": "some"}
    assert list(frame.columns) == ["scenario", "round", "side", "wall_ns", "cpu_ns"]
    assert len(frame) == len(race.timings[0].found.raw)
    assert frame[frame["side"] == "candidate"]["wall_ns"].median() == pytest.approx(5e6, rel=1e-6)


def test_no_ratio_is_made_across_two_machines(tmp_path):
    paths = [tmp_path / f"{name}.parquet" for name in ("here", "there", "nowhere", "later")]
    for path, told in zip(paths, ({"machine": "abc"}, {"machine": "def"}, {}, {"machine": "abc"})):
        speed.write_samples(path, race_of(4.0 if path.stem == "later" else 2.0), told)
    here, there, nowhere, later = paths
    for first, second in ((here, there), (here, nowhere), (nowhere, nowhere)):
        with pytest.raises(speed.OtherMachineError, match="ratio is made across two machines"):
            speed.between_runs(first, second, "1 row")
    assert speed.between_runs(here, later, "1 row").value == pytest.approx(2.0, rel=0.001)
    with pytest.raises(ValueError, match="the scenarios are '1 row'"):
        speed.between_runs(here, later, "2 rows")


def test_a_control_of_all_scenarios_together_may_stand_in_for_a_wide_one():
    rng = np.random.default_rng(1)

    def timing(noise: float, rounds: int) -> speed.Timing:
        wall = 0.01 * np.exp(noise * rng.normal(size=(rounds, 4)))
        return speed.Timing(speed.Scenario(f"{noise}", 1), speed.Comparison(wall, wall, (1, 1), True))

    wide, narrow, hopeless = timing(0.06, 20), timing(0.01, 60), timing(0.6, 20)
    assert not speed.is_stable(wide.found.control)
    race = speed.Race((wide, narrow, hopeless))
    assert race.steady(wide)
    assert race.steady(narrow)
    assert race.unsteady == ("0.6",)
    assert not speed.Race((wide,)).steady(wide)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    folder = tmp_path_factory.mktemp("timed")
    (folder / "sums.py").write_text("def ask(rows):\n    return rows['x'].clip(0, 1)\n")
    model = open_model("python:sums:ask", folder=folder, task="binary")
    yield model
    model.close()


def test_a_host_is_asked_again_and_again_about_rows_it_keeps(host):
    frame = pd.DataFrame({"x": np.linspace(0, 1, 500)})
    fresh = host.pid
    opening, first = host.start(frame.iloc[:1])
    assert opening > 0.05
    assert first > 0
    assert host.pid == fresh, "nobody had asked it anything"
    for scope in ("model", "whole", "model"):
        wall, cpu = host.timed(frame, 5, scope)
        assert len(wall) == len(cpu) == 5
        assert min(wall) > 0
    assert host._held[0] is frame
    served = host.served(frame, [0.0, 0.001, 0.002])
    assert len(served) == 3
    assert min(served) > 0
    assert host.memory()["cpu"] > 0
    assert host.pid == fresh, "one process all the way"
    assert host.start(frame.iloc[:1])[0] > 0.05
    assert host.pid != fresh, "a cold start is of a new process"


def test_arrivals_are_waited_for():
    asked = []
    latencies = here.serve(lambda: asked.append(1), [0.0, 0.02, 0.02])
    assert len(asked) == len(latencies) == 3
    assert min(latencies) >= 0


def test_a_scenario_repeats_rows_where_it_asks_for_more_than_there_are():
    frame = pd.DataFrame({"x": range(50)})
    small, large, more = (speed.Scenario("s", n).frame(frame, 0)["x"] for n in (5, 20, 120))
    assert list(small) == list(large[:5])
    assert set(more.value_counts()) == {2, 3}
    names = [one.name for one in speed.scenarios((8, *speed.SWEEP), ("model", "whole"))]
    assert names[0] == "1 row"
    assert "65,536 rows, end to end" in names
    assert len(names) == len(set(names)) == 2 * 10


class Cuda:
    """`torch.cuda` with a clock that is turned by hand: what is queued is done when it is waited for."""

    now, waiting = 0.0, 0.0

    def Event(self, enable_timing: bool):
        assert enable_timing
        cuda = self

        class Event:
            at = -1.0

            def record(self) -> None:
                self.at = cuda.now + cuda.waiting

            def synchronize(self) -> None:
                cuda.now, cuda.waiting = max(cuda.now, self.at), 0.0

            def elapsed_time(self, other) -> float:
                assert cuda.now >= other.at, "read before the device got there"
                return 1e3 * (other.at - self.at)

        return Event()


def test_the_clock_of_a_gpu_counts_what_is_queued_and_waits_for_it():
    cuda = Cuda()
    clock = device_clock.DeviceClock(cuda)
    clock.start()
    cuda.waiting += 0.004
    assert clock.stop() == pytest.approx(4e6)
    assert cuda.now == pytest.approx(0.004)
    clock.start()
    assert clock.stop() == 0


def test_without_a_gpu_there_is_no_such_clock(host):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert device_clock.device_clock() is None
    assert host.on_device(pd.DataFrame({"x": [0.5]}), 3) == []


@pytest.mark.slow
def test_a_gpu_tells_the_time_of_its_own_kernels():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here: not measured on one")
    square = torch.rand(4096, 4096, device="cuda")
    clock = device_clock.device_clock()
    assert clock is not None
    taken = []
    for products in (1, 20):
        clock.start()
        for _ in range(products):
            square @ square
        taken.append(clock.stop())
    assert taken[1] > 5 * taken[0] > 0


@pytest.mark.parametrize(
    ("times", "outcome", "precise"), [(1.0, "alike", True), (1.015, "alike", False), (1.06, "slower", True)]
)
def test_a_difference_that_shows_is_followed_until_it_is_called(times: float, outcome: str, precise: bool) -> None:
    rng = np.random.default_rng(1)
    wall = np.exp(rng.normal(0, 0.002, (16, 4))) * [1.0, times, 1.0, times]
    found = speed.Comparison(wall, wall, (1, 1), True)
    assert (found.outcome, found.precise) == (outcome, precise)
