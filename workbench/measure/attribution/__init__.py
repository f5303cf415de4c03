"""Why a model answers as it does: Shapley values on raw columns, and the paired comparison of two models' reasons.

An attribution is a feature's share of the distance between one answer and the mean answer over a *background*.
Both models of a pair are asked about the very same what-if rows, in the same output space, or there is no comparison.
"""

from workbench.measure.attribution.compare import (
    Importance,
    bootstrap_weights,
    changed_reasons,
    cosine,
    group_gap,
    importance,
    importance_change,
    mean_estimate,
    rank_correlation,
    relative_gap,
    sign_agreement,
    top_overlap,
)
from workbench.measure.attribution.shapley import (
    Attributions,
    Space,
    UnansweredError,
    attribute,
    sampled_rows,
    space_of,
)

__all__ = [
    "Attributions",
    "Importance",
    "Space",
    "UnansweredError",
    "attribute",
    "bootstrap_weights",
    "changed_reasons",
    "cosine",
    "group_gap",
    "importance",
    "importance_change",
    "mean_estimate",
    "rank_correlation",
    "relative_gap",
    "sampled_rows",
    "sign_agreement",
    "space_of",
    "top_overlap",
]
