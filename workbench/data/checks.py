"""What is checked, in the order of a report: what it asks, why it matters, what to do, what is commonly accepted."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Check(NamedTuple):
    """limit: accepted by default, None where only information is given. blocks: by default it stops a go-live."""

    name: str
    title: str
    why: str
    fix: str
    limit: float | None = None
    better: Literal["lower", "higher"] = "lower"
    source: str = ""
    blocks: bool = False


CHECKS = (
    Check(
        "schema",
        "Columns that are asked for and not there",
        "A column that is not there, or has another name, ends every comparison.",
        "Rename or add the columns, or correct migration.yaml.",
        limit=0,
        blocks=True,
    ),
    Check(
        "reading",
        "Decisions taken while reading the files",
        "A guessed name or encoding changes what a column means.",
        "Correct the file, so that nothing has to be guessed.",
        limit=0,
    ),
    Check(
        "volume",
        "Rows",
        "Few rows make every interval wide: a harmful change can then not be told from chance.",
        "Add rows, or widen the margins the team accepts.",
        limit=200,
        better="higher",
    ),
    Check(
        "target",
        "Rows without a usable label",
        "Without the truth nobody can say which model is right.",
        "Name the right target in migration.yaml, or take the rows without a label out.",
        limit=0.05,
        blocks=True,
    ),
    Check(
        "input-type",
        "Values the model cannot read as numbers",
        "A model that expects a number fails on them, or reads them as missing.",
        "Convert the column, and decide what the others mean.",
        limit=0,
    ),
    Check(
        "unseen-categories",
        "Categories the model does not know",
        "It answers for them as for an unknown one, whatever they mean.",
        "Map them to known categories, or train with them.",
        limit=0.01,
    ),
    Check(
        "missing",
        "Missing values",
        "The two models may treat a gap differently, and what is missing is rarely missing at random.",
        "Find out why; keep a column that says so; impute as in training.",
        limit=0.3,
    ),
    Check(
        "disguised-nulls",
        "Values that stand for a missing one",
        "A model learns -999 as a number and N/A as a category; after a move they may be read otherwise.",
        "Read them as missing.",
        limit=0,
    ),
    Check(
        "constant",
        "Columns without variation",
        "They tell nothing, and hide that a source stopped delivering.",
        "Take the column out, or repair its source.",
        limit=0.999,
    ),
    Check(
        "mixed-types",
        "Values written unlike the rest of their column",
        "A column of numbers with some text is read as text: another type on another platform.",
        "Correct the odd values, then read the column as what it is.",
        limit=0,
    ),
    Check(
        "category-variants",
        "One category spelt in several ways",
        "Each spelling is a category of its own to a model, with fewer rows to learn from.",
        "Map every spelling to the usual one.",
        limit=0,
        source="Damerau 1964; Levenshtein 1966",
    ),
    Check(
        "outliers",
        "Values far outside the rest",
        "They pull scales and means, and are often errors of unit or entry.",
        "Correct them at the source, or clip them.",
        limit=0.001,
        source="Hubert and Vandervieren 2008 (skew-adjusted fences)",
    ),
    Check(
        "infinite",
        "Infinite values",
        "Most learners refuse them; a tensor silently spreads them.",
        "Replace them by missing values.",
        limit=0,
        blocks=True,
    ),
    Check(
        "float32",
        "Values that float32 cannot tell apart",
        "float32 keeps 24 bits: unix seconds and cents lose their last digits.",
        "Keep the column in float64, or subtract its median first.",
        source="IEEE 754-2019, binary32",
    ),
    Check(
        "cardinality",
        "Text with more values than a model can learn from",
        "Identifiers and free text are learnt by heart.",
        "Leave the column out, or group its values.",
        limit=0.05,
    ),
    Check(
        "duplicates",
        "Repeated rows",
        "They count twice in training and in every measure.",
        "Keep one row of each, and find out where the copies come from.",
        limit=0.001,
    ),
    Check(
        "key",
        "Rows whose key is not theirs alone",
        "Without a key rows cannot be joined, reconciled or corrected.",
        "Find out how two rows came to share a key, then repair it at the source.",
        limit=0,
    ),
    Check(
        "label-balance",
        "Share of the rarest label",
        "With few rows of a class its error rates are hardly known.",
        "Add rows of that class; judge by intervals, not by accuracy.",
        limit=0.05,
        better="higher",
    ),
    Check(
        "conflicting-labels",
        "Equal features, different labels",
        "No model can be right on both rows.",
        "Look at these rows: is a feature missing, or a label wrong?",
        limit=0.01,
    ),
    Check(
        "label-noise",
        "Suspected wrong labels",
        "They bound what any model can reach, and hide which of two models is right.",
        "Have the suspected rows read again.",
        limit=0.02,
        source="Northcutt et al. 2021; Angluin and Laird 1988",
    ),
    Check(
        "leakage",
        "A column that gives the label away",
        "What is only known after the outcome makes a model look right, and fails in production.",
        "Leave the column out, unless it is known before the decision.",
        limit=0.9,
        source="DeLong et al. 1988",
        blocks=True,
    ),
    Check(
        "overlap",
        "Holdout rows that are training rows",
        "A model has seen them: quality on them is memory.",
        "Take them out of the holdout.",
        limit=0.001,
        blocks=True,
    ),
    Check(
        "split",
        "Columns that differ between training and holdout",
        "The holdout then judges the models on another population.",
        "Draw both from the same rows, or say why they differ.",
        limit=0.1,
        source="Lewis 1994 (PSI)",
    ),
    Check(
        "drift",
        "Columns that differ between holdout and production",
        "The evidence then speaks of rows that no longer come.",
        "Find what changed, and judge both models on recent rows.",
        limit=0.1,
        source="Lewis 1994 (PSI); Siddiqi 2006",
    ),
    Check(
        "groups",
        "Rows of the smallest protected group",
        "Too few rows of a group, and worse treatment of it cannot be seen.",
        "Add rows of the small groups, or merge them knowingly.",
        limit=30,
        better="higher",
    ),
    Check(
        "proxy",
        "Columns that tell a protected attribute",
        "A model without the attribute can still use it through them.",
        "Hold the column's use against its purpose; test the model without it.",
        limit=0.5,
        source="Bergsma 2013",
    ),
    Check(
        "personal-data",
        "Columns that hold personal data",
        "They must not travel to a new platform without need and protection.",
        "Take them out, or pseudonymise and declare them under roles.personal.",
        limit=0,
    ),
)
