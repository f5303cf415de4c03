"""What `52_explainability` can find: why each matters, how to fix it, and the limit it starts with."""

from __future__ import annotations

from workbench.audit import Kind
from workbench.evidence import Limit

RETRAIN = "Lift the legacy model exactly, or distil its scores into the candidate; see 44_parity for rows that differ."

REASONS = Kind(
    id="explainability/reasons",
    title="What each model looks at",
    why="Reviewers and customers ask why; the columns a model leans on are the first half of the answer.",
    fix="Ask someone who knows the business whether the leading columns make sense, and are allowed.",
)
AGREEMENT = Kind(
    id="explainability/reasons-agreement",
    title="Agreement of reasons, row by row",
    why="A candidate may give the same answers for other reasons, and then part ways on the next customers.",
    fix=RETRAIN,
    limit=Limit(value=0.95, better="higher"),
)
TOP = Kind(
    id="explainability/top-reasons",
    title="Leading reasons that both models share",
    why="The leading reasons are what a customer is told; if they change, letters and appeals change.",
    fix=RETRAIN,
    limit=Limit(value=0.9, better="higher"),
)
CHANGED = Kind(
    id="explainability/changed-reasons",
    title="Rows with the same answer for other reasons",
    why="Tests of answers cannot see these rows; an auditor who asks for reasons will.",
    fix=RETRAIN,
    limit=Limit(value=0.05, better="lower"),
)
IMPORTANCE = Kind(
    id="explainability/importance-change",
    title="No column weighs more or less than before",
    why="A column that weighs more than before may be a proxy, a leak, or a fault of the new preparation of data.",
    fix="Compare how both sides prepare this column (missing values, categories, units); then retrain or lift.",
    limit=Limit(value=0.0, better="equal", margin=0.05),
)
ADDITIVITY = Kind(
    id="explainability/additivity",
    title="Reasons add up to the model's own answer",
    why="Attributions that do not sum to the answer explain some other model.",
    fix="See whether the model answers a row differently alone, in a batch, or when asked again.",
    limit=Limit(value=1e-4, better="lower"),
)
PROTECTED = Kind(
    id="explainability/protected-reliance",
    title="How much it leans on a protected attribute",
    why="Deciding by it is often unlawful; a column that sets its groups apart (see the table) may act as its proxy.",
    fix="Leave the attribute or its proxy out, or have the people responsible agree in writing; then see 51_bias.",
    limit=Limit(value=0.0, better="lower", margin=0.02),
)
STABILITY = Kind(
    id="explainability/background-stability",
    title="How far reasons depend on the background rows",
    why="An explanation that changes with the rows it is compared to is no firmer than this agreement.",
    fix="Raise `background` and `evaluations` until this is well above the agreement you want to show.",
)
FAITHFUL = Kind(
    id="explainability/faithfulness",
    title="The answer follows the reasons",
    why="If the answer moves no sooner along the leading reasons than along columns at random, they explain nothing.",
    fix="See additivity first; then raise `rows` and `evaluations`: few permutations give noise for reasons.",
    source="Petsiuk et al. 2018",
    limit=Limit(value=0.0, better="higher"),
)
SURROGATE = Kind(
    id="explainability/local-surrogate",
    title="A simple model around each row finds the same reasons",
    why="A second way that shares no step with the first finds gross errors of it; small differences are expected.",
    fix="Where this is near 0, look at the cases in the table: columns that only matter together, or a fault.",
    source="Ribeiro et al. 2016",
)
TOGETHER = Kind(
    id="explainability/interaction-change",
    title="No pair of columns works together more or less than before",
    why="Two models can give each column the same weight and combine them differently, which shows in rare mixes.",
    fix=RETRAIN,
    source="Lundberg et al. 2020",
    limit=Limit(value=0.0, better="equal", margin=0.05),
)
DRIFT = Kind(
    id="explainability/attribution-drift",
    title="It leans on the same columns in production",
    why="A column that weighs more on recent rows than in the holdout makes the tests of the holdout say less.",
    fix="Compare the column in both tables (21_readiness); test on recent rows before you rely on this evidence.",
    limit=Limit(value=0.0, better="equal", margin=0.05),
)
UNANSWERED = Kind(
    id="explainability/unanswered",
    title="What-if rows without an answer",
    why="A model that gives no number for a plausible mix of values fails in production on the first such row.",
    fix="Find the column mix it cannot take (often a missing value or a rare category) and handle it in the model.",
    limit=Limit(value=0.0, better="equal"),
)
KINDS = (
    REASONS,
    AGREEMENT,
    TOP,
    CHANGED,
    IMPORTANCE,
    TOGETHER,
    ADDITIVITY,
    FAITHFUL,
    SURROGATE,
    STABILITY,
    PROTECTED,
    DRIFT,
    UNANSWERED,
)
