"""Queues against their closed forms and the step-by-step recursion; machines and money against a hand calculation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from workbench.measure.speed import capacity
from workbench.measure.speed.capacity import Service, Wish, blocks, change, needed
from workbench.measure.speed.serving import latencies


def exponential(mean: float, rounds: int = 40, calls: int = 500) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.exponential(mean, calls) for _ in range(rounds)]


def test_the_queue_is_lindleys_recursion() -> None:
    service = Service(exponential(0.01), draws=3, queries=3_000)
    waited = service.waits(60.0)
    arrive = np.cumsum(service._between / 60.0)
    for line in range(4):
        np.testing.assert_allclose(waited[line], latencies(service.takes[line], arrive)[capacity.WARM_UP :], rtol=1e-9)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_times_in_an_exponential_queue_are_the_textbooks(load: float) -> None:
    """M/M/1: the time to an answer is exponential with rate mu - lambda (Gross and Harris, Queueing Theory, 2.3)."""
    service = Service(exponential(0.01), draws=0, queries=400_000)
    rate = load / float(service.takes.mean())
    for share, within in ((0.5, 0.05), (0.99, 0.12)):
        expected = -math.log(1 - share) / (1 / 0.01 - rate)
        assert service.percentile(rate, share)[0] == pytest.approx(expected, rel=within)


def test_the_highest_rate_holds_the_level_and_a_higher_one_does_not() -> None:
    service = Service(exponential(0.01), draws=5)
    highest = service.highest(0.1)
    assert (service.percentile(highest) <= 0.1).all()
    assert (service.percentile(highest * 1.05) > 0.1).all()
    expected = 1 / 0.01 - math.log(100) / 0.1
    assert highest[0] == pytest.approx(expected, rel=0.1)
    assert (service.highest(1e-4) == 0).all(), "an answer alone takes longer"


def test_machines_and_money_by_hand() -> None:
    service = Service([np.full(50, 0.01)] * 5)
    wish = Wish(per_second=1_000, level=10.0, processes=4, least=2, hours=730, price=0.5)
    # A constant 10 ms: at a level of 10 s a process takes all but 100 a second.
    found = needed(service, wish)
    processes = math.ceil(1_000 / service.highest(10.0)[0])
    machines = math.ceil(processes / 4)
    assert processes in (11, 12)
    assert found.of("machines").value == machines
    assert found.of("month").value == pytest.approx(machines * 0.5 * 730)
    assert found.of("million").value == pytest.approx(machines * 0.5 / (1_000 * 3600) * 1e6)
    assert found.of("p50").value >= 10.0 - 1e-9
    assert needed(service, wish._replace(per_second=1)).of("machines").value == 2, "never fewer than wished"
    batch = needed(service, wish._replace(rows=1_024))
    assert batch.of("million").value == pytest.approx(found.of("million").value / 1_024)


def test_what_cannot_be_held_has_no_number_and_no_price_no_cost() -> None:
    service = Service(exponential(0.01), draws=5)
    late = needed(service, Wish(per_second=10, level=1e-5, price=1.0))
    assert all(math.isnan(late.of(name).value) for name in ("machines", "p50", "p99", "month", "million"))
    free = needed(service, Wish(per_second=10, level=1.0))
    assert math.isnan(free.of("month").value)
    assert free.of("machines").value == 1
    with pytest.raises(ValueError, match="above 0"):
        needed(service, Wish(per_second=0, level=1.0))
    with pytest.raises(ValueError, match="61_benchmark"):
        Service([])


def test_twice_as_slow_needs_twice_as_many_and_the_interval_knows_unsteady_rounds() -> None:
    steady = [np.full(50, 0.01)] * 20
    rng = np.random.default_rng(0)
    unsteady = [np.full(50, 0.01 * factor) for factor in rng.choice([1.0, 1.6], 20)]
    wish = Wish(per_second=5_000, level=0.2)
    one = needed(Service(steady), wish)
    two = needed(Service([2 * block for block in steady]), wish._replace(level=0.4))
    assert change(one.machines, two.machines).value == pytest.approx(2.0, rel=0.02)
    assert one.of("machines").low == one.of("machines").high
    wide = needed(Service(unsteady), wish).of("machines")
    assert wide.low < wide.value < wide.high


def test_samples_are_taken_by_round_with_the_control_s_calls() -> None:
    sides = ["legacy", "legacy again", "candidate", "legacy"]
    frame = pd.DataFrame({"scenario": "1 row", "round": [0, 0, 0, 1], "side": sides, "wall_ns": [1e9, 2e9, 3e9, 4e9]})
    found = blocks(frame, "1 row", "legacy")  # type: ignore[arg-type]
    assert [block.tolist() for block in found] == [[1.0, 2.0], [4.0]]
