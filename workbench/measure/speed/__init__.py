"""Speed: who is faster, by how much and how surely."""

from workbench.measure.speed.environment import environment
from workbench.measure.speed.sides import Scenario, Side, scenarios, sides
from workbench.measure.speed.statistics import (
    LEVEL,
    TOLERANCE,
    cost_per_million,
    geometric_mean,
    inverse,
    is_stable,
    percentile,
    queries_needed,
    quotient,
)
from workbench.measure.speed.timing import (
    CANDIDATE,
    CONTROL,
    LEGACY,
    Comparison,
    Timed,
    TooSlowError,
    compare,
    latencies,
    log_ratios,
    orders,
    warm_up,
)

__all__ = [
    "CANDIDATE",
    "CONTROL",
    "LEGACY",
    "LEVEL",
    "TOLERANCE",
    "Comparison",
    "Scenario",
    "Side",
    "Timed",
    "TooSlowError",
    "compare",
    "cost_per_million",
    "environment",
    "geometric_mean",
    "inverse",
    "is_stable",
    "latencies",
    "log_ratios",
    "orders",
    "percentile",
    "queries_needed",
    "quotient",
    "scenarios",
    "sides",
    "warm_up",
]
