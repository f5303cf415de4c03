"""Which column holds the truth: by its name, its values, its place, and how well the model's answers order it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.models import normal
from workbench.proposal.names import ANSWER, KEY, PROTECTED, TARGET, TIME, says
from workbench.proposal.seen import Proposed, Seen, listed, refuse_unknown, spelled
from workbench.proposal.sources import ProposalError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

ENOUGH, CLEAR = 4.0, 1.5
"""Points a target needs, and its lead over the next, to be proposed without a question."""


@dataclass(frozen=True)
class _Candidate:
    name: str
    points: float
    reasons: tuple[str, ...]


def propose_target(seen: Seen, given: str | None) -> Proposed:
    """Raises ProposalError where the given column is not there, or where no column looks like one."""
    if given is not None:
        return Proposed(key="task.target", value=given, confidence="given", why=_given(seen, given))
    ranked = sorted((_weigh(seen, name) for name in seen.columns), key=lambda one: -one.points)
    best, second = ranked[0], ranked[1] if len(ranked) > 1 else None
    lead = best.points - second.points if second else math.inf
    if best.points < 2 or lead <= 0:
        near = listed([one.name for one in ranked[:5]])
        raise ProposalError(
            f"Which column holds the truth cannot be told (nearest are {near}). Name it with --target, or in the "
            "wizard; it must be in the holdout."
        )
    sure = best.points >= ENOUGH and lead >= CLEAR
    why = "; ".join(best.reasons)
    if not sure and second:
        why += f"; {second.name} would be the next to think of"
    return Proposed(key="task.target", value=best.name, confidence="high" if sure else "low", why=why)


def _given(seen: Seen, name: str) -> str:
    refuse_unknown(seen, name, "target")
    read = "; but the model reads it too, so it knows the answer: is it the right column?" if name in seen.read else ""
    order = _agreement_said(seen, name)
    return f"as given{f'; {order}' if order else ''}{read}"


def _weigh(seen: Seen, name: str) -> _Candidate:
    """Points for and against; the reasons are those in favour."""
    points, reasons = 0.0, []
    if says(name, TARGET):
        points, reasons = 2.5, ["by its name"]
    if seen.read:
        inside = name in seen.read
        points += -6 if inside else 2
        reasons += [] if inside else ["the model does not read it"]
    fit, said = _values_fit(seen, name)
    order = agreement(seen, name)
    if order is not None and order > 0.55:
        fit += 4 * (order - 0.5)
        said = [*said, _agreement_said(seen, name)]
    if name in (seen.columns[0], seen.columns[-1]):
        points += 1
        said += ["it is the last column"] if name == seen.columns[-1] else []
    points -= _against(seen, name)
    return _Candidate(name, points + fit, (*reasons, *said))


def _against(seen: Seen, name: str) -> float:
    against = 4.0 * says(name, ANSWER) + 4.0 * says(name, PROTECTED) + 2.0 * says(name, TIME)
    against += 4.0 * (says(name, KEY) and seen.distinct[name] > 0.9 * len(seen.frame))
    order = agreement(seen, name)
    # Equal to the model's own answers in every row: an answer somebody stored, not the truth.
    equal = order is not None and order > 0.9999 and len(seen.frame) > 100
    return against + 3.0 * (equal and named(seen, name) is None)


def _values_fit(seen: Seen, name: str) -> tuple[float, list[str]]:
    """Whether the values are what such a model answers."""
    if seen.model.task == "regression":
        number = seen.table.column(name).type in ("integer", "number") and seen.distinct[name] > 2
        return (1.0, []) if number else (-4.0, [])
    values, classes = set(map(normal, values_of(seen, name))), set(map(normal, seen.model.classes))
    if len(values) > max(2, len(classes)) or len(values) < 2:
        return -4.0, []
    if values <= classes:
        return 2.0, [f"its values are the model's classes ({listed(sorted(values))})"]
    return (1.5 if len(values) == len(classes) else 0.5), []


def values_of(seen: Seen, name: str, most: int = 101) -> list[Any]:
    """Distinct values, most frequent first, as plain Python values."""
    counted = seen.frame[name].value_counts()
    return [value.item() if hasattr(value, "item") else value for value in counted.index[:most]]


def agreement(seen: Seen, name: str) -> float | None:
    """How well the model's answers order the column: AUC for two values (a reversed order counts as well, 1 - AUC),
    share of equal labels for more, |Spearman's rho| for numbers. None where that cannot be said.
    """
    if name not in seen.agreed:
        seen.agreed[name] = _agreement(seen, name)
    return seen.agreed[name]


def _agreement(seen: Seen, name: str) -> float | None:
    import pandas as pd

    column, answers = seen.head[name], seen.answers
    if answers.values is not None:
        numbers = pd.to_numeric(column, errors="coerce")
        rho = numbers.rank().corr(pd.Series(answers.values, index=numbers.index).rank())
        return None if math.isnan(rho) else abs(float(rho))
    if seen.distinct[name] == 2 and (score := score_of(seen)) is not None:
        area = auc(score, (spelled(column) == sorted(map(normal, values_of(seen, name)))[1]).to_numpy(), column)
        return None if area is None else max(area, 1 - area)
    if answers.labels is None or seen.distinct[name] > 100:
        return None
    called = dict(zip(map(normal, answers.classes), map(normal, named(seen, name) or answers.classes)))
    labels = spelled(pd.Series(answers.labels)).map(lambda label: called.get(label, label))
    return float((spelled(column).to_numpy() == labels.to_numpy()).mean())


def named(seen: Seen, name: str) -> list[Any] | None:
    """The column's values in the order of the model's classes, where the model only numbers them, else None.

    The pairing is the one on which most rows agree (Kuhn 1955); alphabetical, as LabelEncoder's, where none does.
    """
    import pandas as pd
    from scipy.optimize import linear_sum_assignment

    values, classes, labels = sorted(values_of(seen, name), key=str), seen.answers.classes, seen.answers.labels
    known = set(map(normal, classes))
    if labels is None or len(values) != len(classes) or set(map(normal, values)) <= known:
        return None
    together = pd.crosstab(spelled(pd.Series(labels)).to_numpy(), spelled(seen.head[name]).to_numpy())
    counts = together.reindex(index=list(map(normal, classes)), columns=list(map(normal, values)), fill_value=0)
    return [values[place] for place in linear_sum_assignment(counts.to_numpy(), maximize=True)[1]]


def score_of(seen: Seen) -> NDArray[np.float64] | None:
    """The model's score for its last class, or the number of the class it decides for; None for more than two."""
    import numpy as np

    answers = seen.answers
    if len(answers.classes) > 2 or answers.values is not None:
        return None
    if answers.scores is not None:
        return np.asarray(answers.scores[:, -1], dtype=np.float64)
    if answers.labels is None or not answers.classes:
        return None
    last = normal(answers.classes[-1])
    return np.array([normal(label) == last for label in answers.labels], dtype=np.float64)


def auc(score: NDArray[np.float64], positive: NDArray[np.bool_], column: pd.Series[Any]) -> float | None:
    """Area under the ROC curve by Mann and Whitney's U, ties halved; rows without a truth left out."""
    import pandas as pd

    known = column.notna().to_numpy()
    ranks = pd.Series(score[known]).rank().to_numpy()
    chosen = positive[known]
    n, m = int(chosen.sum()), int((~chosen).sum())
    return None if not n or not m else float((ranks[chosen].sum() - n * (n + 1) / 2) / (n * m))


def _agreement_said(seen: Seen, name: str) -> str:
    order = agreement(seen, name)
    if order is None:
        return ""
    rows = f"in {len(seen.head):,} rows"
    if seen.answers.values is not None:
        return f"the model's answers follow it (rank correlation {order:.2f} {rows})"
    if seen.distinct[name] == 2 and score_of(seen) is not None:
        return f"the model's answers tell its two values apart (AUC {order:.2f} {rows})"
    if named(seen, name):
        return f"the model only numbers its classes; paired with its values they agree in {order:.0%} {rows}"
    return f"the model's label equals it in {order:.0%} of {len(seen.head):,} rows"
