"""Why a model answers as it does: Shapley values on raw columns, and the paired comparison of two models' reasons.

An attribution is a feature's share of the distance between one answer and the mean answer over a *background*.
Both models of a pair are asked about the very same what-if rows, in the same output space, or there is no comparison.
"""

from workbench.measure.attribution.across import Drift, by_rows, cohorts, drift, interactions
from workbench.measure.attribution.asking import attribute, sampled_rows
from workbench.measure.attribution.basics import Attributions, Floats, Space, UnansweredError, space_of
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
from workbench.measure.attribution.paired import (
    BY_ROW,
    DRAWS,
    Agreement,
    Flags,
    Found,
    Shares,
    Side,
    agree,
    group_codes,
    group_gaps,
    importances,
    leading_reasons,
    same_answer,
)
from workbench.measure.attribution.questions import (
    FEWEST_ROWS,
    Plan,
    Question,
    UnaskableError,
    afforded,
    plan,
    question,
    shared_features,
    stability,
)
from workbench.measure.attribution.sanity import Faithful, faithfulness, surrogate
from workbench.measure.attribution.ways import InexactError

__all__ = [
    "BY_ROW",
    "DRAWS",
    "FEWEST_ROWS",
    "Agreement",
    "Attributions",
    "Drift",
    "Faithful",
    "Flags",
    "Floats",
    "Found",
    "Importance",
    "InexactError",
    "Plan",
    "Question",
    "Shares",
    "Side",
    "Space",
    "UnansweredError",
    "UnaskableError",
    "afforded",
    "agree",
    "attribute",
    "bootstrap_weights",
    "by_rows",
    "changed_reasons",
    "cohorts",
    "cosine",
    "drift",
    "faithfulness",
    "group_codes",
    "group_gap",
    "group_gaps",
    "importance",
    "importance_change",
    "importances",
    "interactions",
    "leading_reasons",
    "mean_estimate",
    "plan",
    "question",
    "rank_correlation",
    "relative_gap",
    "same_answer",
    "sampled_rows",
    "shared_features",
    "sign_agreement",
    "space_of",
    "stability",
    "surrogate",
    "top_overlap",
]
