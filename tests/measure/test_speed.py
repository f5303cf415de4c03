"""The timing method on simulated machines, where the truth is known; published figures for the sample-size rule."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from workbench.measure import speed
from workbench.measure.intervals import Estimate

FRAME = pd.DataFrame({"x": [1.0]})


class Machine:
    """A clock and two sides on it. noise: relative, per block, heavy-tailed; drift: per second; spikes: share of
    blocks another process slows down by half; steps: the machine changes pace for a while."""

    def __init__(self, seed: int, ratio: float = 1.0, noise=0.01, drift=0.0, spikes=0.0, pace=0.0, call=0.002):
        self.rng = np.random.default_rng(seed)
        self.now, self.level = 0.0, 0.0
        self.ratio, self.noise, self.drift, self.spikes, self.pace, self.call = ratio, noise, drift, spikes, pace, call

    def clock(self) -> float:
        return self.now

    def side(self, times: float):
        def timed(frame: pd.DataFrame, calls: int) -> tuple[list[int], list[int]]:
            self.level = 0.9 * self.level + self.pace * self.rng.normal()
            busy = 1.5 if self.rng.random() < self.spikes else 1.0
            log = self.noise * self.rng.standard_t(4) + self.level + self.drift * self.now
            cpu = self.call * times * calls * math.exp(self.noise / 3 * self.rng.normal())
            wall = self.call * times * calls * math.exp(log) * busy
            self.now += wall
            return [int(wall * 1e9)], [int(cpu * 1e9)]

        return timed

    def compare(self, seed: int = 0, **options) -> speed.Comparison:
        return speed.compare(self.side(1.0), self.side(self.ratio), FRAME, seed=seed, clock=self.clock, **options)


def verdict(found: speed.Comparison) -> str:
    if not found.stable:
        return "unstable"
    ratio = found.speed_up
    return "slower" if ratio.high < 1 else "faster" if ratio.low > 1 else "same"


MACHINES = {
    "quiet": {"noise": 0.01},
    "drifting": {"noise": 0.01, "drift": 0.02},
    "pacing": {"noise": 0.01, "pace": 0.01},
    "loaded": {"noise": 0.02, "spikes": 0.15},
}


@pytest.mark.parametrize("name", MACHINES)
def test_a_against_a_gives_a_false_verdict_in_5_runs_of_100_at_most(name):
    found = [verdict(Machine(seed, **MACHINES[name]).compare(seed)) for seed in range(200)]
    assert found.count("slower") + found.count("faster") <= 10
    assert found.count("unstable") <= (10 if name != "loaded" else 160)


@pytest.mark.parametrize("ratio,name", [(1.05, "slower"), (1 / 1.05, "faster")])
def test_5_percent_is_found_with_power_of_90_percent_on_a_quiet_machine(ratio, name):
    found = [verdict(Machine(seed, ratio=ratio, noise=0.01, drift=0.01).compare(seed)) for seed in range(200)]
    assert found.count(name) >= 180
    assert not found.count("faster" if name == "slower" else "slower")


def test_a_very_busy_machine_gives_no_verdict():
    found = [verdict(Machine(seed, noise=0.15, spikes=0.3).compare(seed, most=20)) for seed in range(100)]
    assert found.count("unstable") >= 90


def test_intervals_cover_the_true_ratio():
    inside = 0
    for seed in range(300):
        found = Machine(seed, ratio=1.3, noise=0.02, spikes=0.05).compare(seed, least=12, most=12)
        inside += found.speed_up.low <= 1 / 1.3 <= found.speed_up.high
    assert inside / 300 >= 0.98


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
    found = Machine(0, ratio=2.0, noise=0.0, drift=0.05).compare(least=10, most=10)
    np.testing.assert_allclose(np.exp(speed.log_ratios(found.wall, speed.CANDIDATE)), 0.5, rtol=0.002)
    assert found.control.value == pytest.approx(1, abs=0.002)


def test_rounds_go_on_until_the_control_is_stable():
    quiet, loud = Machine(1, noise=0.005).compare(), Machine(1, noise=0.05).compare(seconds=60)
    assert quiet.rounds == 10
    assert loud.rounds > 10
    assert loud.stable


def test_a_side_too_slow_for_the_time_is_named():
    with pytest.raises(speed.TooSlowError, match="allow more seconds") as caught:
        Machine(0, call=2.0).compare(seconds=6)
    assert caught.value.needed == pytest.approx(120, rel=0.1)


def test_cpu_ratio_is_told_beside_the_wall_ratio():
    found = Machine(3, ratio=1.5, noise=0.02, spikes=0.2).compare()
    assert found.cpu_speed_up.low <= 1 / 1.5 <= found.cpu_speed_up.high
    assert found.cpu_speed_up.high - found.cpu_speed_up.low < found.speed_up.high - found.speed_up.low


def test_blocks_are_long_enough_and_two_a_round():
    machine = Machine(0, ratio=4.0)
    found = machine.compare()
    assert found.calls == (pytest.approx(25, abs=2), pytest.approx(7, abs=1))
    assert found.wall.shape == (10, 3, 2)
    assert found.seconds(speed.CANDIDATE).value == pytest.approx(0.008, rel=0.05)


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
    found = [speed.percentile(rng.exponential(size=n), share) for _ in range(400)]
    assert sum(one.low <= truth <= one.high for one in found) / 400 >= 0.97
    assert all(one.low <= one.value <= one.high for one in found)


def test_latencies_are_taken_in_turns():
    turns = []

    def side(number: int):
        def timed(frame, calls):
            turns.append(number)
            return [(number + 1) * 1000] * calls, [1000] * calls

        return timed

    first, second = speed.latencies((side(0), side(1)), FRAME, samples=60, seconds=60)
    assert (len(first), len(second)) == (60, 60)
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
    assert {"cores", "cpu limit", "load (1, 5, 15 min)", "python"} <= set(found)
