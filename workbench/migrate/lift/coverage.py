"""The page of what lifts, made from the table that compatibility and the lift themselves read.

`python -m workbench.migrate.lift.coverage > docs/coverage.md`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.migrate.lift import PREDICTORS, TRANSFORMERS
from workbench.models.knowledge import table

HEAD = """# What lifts to torch

Made by `python -m workbench.migrate.lift.coverage`; a test holds it to the code. `compatibility` reads the same table
for the pieces of your model, options included, and the lift refuses what the table does not know.

| status | what it says |
|---|---|
| **exact** | the same answers on every probe: the same bits, or 1e-12 and no label flipped |
| **difference** | lifts, with a difference that is named below and that parity then measures on your rows |
| **retrain** | no exact torch form here: the advice says what to do instead |
| aside | fitted with the model, but not on the way from a row to its answer |

Points are the effort to bring a piece to torch: 1 only needs its parity check, 13 is a model made anew. A kind that
is not here is *unknown* ({unknown} points), an option newer than the table likewise; a model that shows no parts is
*closed*.

True of every piece:
- Numbers are read as float64. scikit-learn computes in float32 where **all** columns of a step are float32: answers
  to such a table differ by what float32 rounds (about 1e-7 of each value), and ours are those to the same numbers in
  float64.
- Where a legacy piece stops at a row (a category it never saw under `handle_unknown="error"`, a number outside the
  range of a domain), the lifted model stops too and names column, value and row. Where scikit-learn stops at a missing
  number, the scores of that row are NaN and it gets no class, a committee's row as soon as one of its members stops.
- Infinite numbers are no numbers to scikit-learn, which stops at them; the lifted model may answer.
- Several targets at once are refused: a migration has one.
- Tested against scikit-learn {sklearn}, XGBoost {xgboost}, LightGBM {lightgbm}; a piece of a newer version counts as
  a difference.
"""

GROUPS = {
    "Pipelines and columns": ("passthrough", "drop", "sklearn.pipeline.", "sklearn.compose.", "sklearn.frozen."),
    "Missing values": ("sklearn.impute.",),
    "Preprocessing": ("sklearn.preprocessing.",),
    "Selecting columns": ("sklearn.feature_selection.",),
    "Projections and kernel maps": (
        "sklearn.decomposition.",
        "sklearn.kernel_approximation.",
        "sklearn.random_projection.",
        "sklearn.cross_decomposition.",
    ),
    "Text and dictionaries": ("sklearn.feature_extraction.",),
    "Linear models": ("sklearn.linear_model.", "sklearn.discriminant_analysis.", "sklearn.svm.Linear"),
    "Trees and boosting": ("sklearn.tree.", "xgboost.", "lightgbm.", "catboost.", "pmml."),
    "Ensembles": ("sklearn.ensemble.",),
    "Around another model": (
        "sklearn.calibration.",
        "sklearn.model_selection.",
        "sklearn.multiclass.",
        "sklearn.multioutput.",
    ),
    "Pipelines of sklearn2pmml": ("sklearn2pmml.", "sklearn_pandas."),
    "Other models": ("",),
}
WORDS = {"exact": "**exact**", "difference": "**difference**", "retrain": "**retrain**", "aside": "aside"}


def page() -> str:
    """The whole page as Markdown."""
    said = table()
    versions = {name: library["to"] for name, library in said["libraries"].items()}
    parts = [HEAD.format(unknown=said["unknown_effort"], **versions), _count(said["pieces"])]
    rest = dict(said["pieces"])
    for title, starts in GROUPS.items():
        mine = {kind: rest.pop(kind) for kind in sorted(rest) if kind.startswith(starts)}
        if mine:
            parts.append("\n".join([f"\n## {title}", *_rows(mine)]))
    return "\n".join(parts) + "\n"


def _count(pieces: Mapping[str, Any]) -> str:
    statuses = [row["status"] for row in pieces.values()]
    counted = ", ".join(f"{statuses.count(word)} {word}" for word in WORDS)
    return f"{len(pieces)} kinds of piece: {counted}."


def _rows(pieces: Mapping[str, Any]) -> Iterator[str]:
    yield "| piece | as | status | points | what to know |"
    yield "|---|---|---|---|---|"
    for kind, row in pieces.items():
        cells = (f"`{_short(kind)}`", _role(kind), WORDS[row["status"]], row["effort"], _told(row))
        yield f"| {' | '.join(map(str, cells))} |"


def _short(kind: str) -> str:
    library, _, name = kind.partition(".")
    return name.rpartition(".")[2] if library == "sklearn" else kind


def _role(kind: str) -> str:
    roles = [role for role, known in (("model", PREDICTORS), ("step", TRANSFORMERS)) if kind in known]
    return " and ".join(roles) or "–"


def _told(row: Mapping[str, Any]) -> str:
    """Note, advice and conditions, each a sentence."""
    told = [row.get("note", ""), row.get("advice", "")]
    told += [f"Not where {_sentence(need)}" for need in row.get("needs", ())]
    told += [f"A difference where {_sentence(need)}" for need in row.get("differs", ())]
    return " ".join(text for text in told if text).replace("|", "\\|").replace("\n", " ")


def _sentence(need: Mapping[str, Any]) -> str:
    return f"{need['why'].rstrip('.')}: {need['advice'][0].lower()}{need['advice'][1:].rstrip('.')}."


if __name__ == "__main__":
    print(page(), end="")
