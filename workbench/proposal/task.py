"""What is predicted: kind of task, positive class, threshold, and what the model's classes are called."""

from __future__ import annotations

from typing import Any

from workbench.models import normal
from workbench.proposal.names import words
from workbench.proposal.seen import Proposed, Seen, listed, spelled
from workbench.proposal.target import agreement, auc, named, score_of, values_of

_YES = {"1", "yes", "y", "true", "t", "positive", "pos", "selected"}
_EVENT = {
    "default", "defaulted", "bad", "churn", "churned", "fraud", "fraudulent", "event", "approved", "approve",
    "accepted", "granted", "hired", "admitted", "paid", "repaid", "disease", "malignant", "recid", "high", ">50k",
    ">50k.",
}  # fmt: skip


def propose_kind(seen: Seen, target: str, given: str | None) -> Proposed:
    """The model decides; what contradicts it in the target is said."""
    kind = given or seen.model.task
    classes = [str(label) for label in seen.model.classes]
    why = f"the model answers {len(classes)} classes: {listed(classes)}" if classes else "the model answers a number"
    confidence: Any = "given" if given else "high"
    values = seen.distinct[target]
    if kind == "binary" and values != 2:
        why += f"; but {target} has {values} values in {seen.among}"
        confidence = "low"
    return Proposed(key="task.kind", value=kind, confidence=confidence, why=why)


def propose_positive(seen: Seen, target: str, given: object = None) -> Proposed:
    """The class that counts as selected, of the target's values; by name, else the rarer one."""
    values = values_of(seen, target)
    if given is not None:
        same = next((value for value in values if normal(value) == normal(given)), given)
        return _positive(same, "given", "as given", seen, target)
    named = {normal(value).lower(): value for value in reversed(values)}
    for known in (_YES, _EVENT):
        hits = [value for name, value in named.items() if name in known or set(words(name)) & known]
        if len(hits) == 1:
            return _positive(hits[0], "high" if known is _YES else "medium", "by its name", seen, target)
    rarer = values[-1] if values else 1
    why = f"the rarer of {listed([str(value) for value in values])}, for no name tells"
    return _positive(rarer, "low", why, seen, target)


def _positive(value: Any, confidence: Any, why: str, seen: Seen, target: str) -> Proposed:
    share = (spelled(seen.frame[target]) == normal(value)).mean()
    text = f"{why} ({share:.0%} of {seen.among})"
    others = [str(other) for other in values_of(seen, target) if normal(other) != normal(value)]
    if confidence in ("medium", "low") and len(others) == 1:
        text += f". If being selected means {others[0]!r} in your business, write that instead"
    if reversed_order(seen, target, value):
        confidence = "low"
        text += ". But the model's score falls where it holds: is the other class meant, or another target?"
    return Proposed(key="task.positive", value=value, confidence=confidence, why=text)


def reversed_order(seen: Seen, target: str, positive: object) -> bool:
    """Whether the model's score for this very class is lower where the target holds it."""
    classes = [normal(label) for label in seen.answers.classes]
    score = score_of(seen)
    if score is None or normal(positive) not in classes:
        return False
    mine = score if classes.index(normal(positive)) == len(classes) - 1 else -score
    area = auc(mine, (spelled(seen.head[target]) == normal(positive)).to_numpy(), seen.head[target])
    return area is not None and area < 0.45


def propose_threshold(seen: Seen) -> Proposed:
    if seen.answers.scores is None:
        why = "this model only decides, so its own decision counts"
        return Proposed(key="task.threshold", value=0.5, confidence="high", why=why)
    why = "0.5 is what libraries use: write the cut-off of your production"
    return Proposed(key="task.threshold", value=0.5, confidence="medium", why=why)


def propose_classes(seen: Seen, target: str) -> Proposed | None:
    """Names for the model's classes where it only numbers them; None where the target's values are its classes.

    The order is the one in which the model's answers agree with the target; alphabetical (LabelEncoder's) if none.
    """
    values = values_of(seen, target)
    known = {normal(label) for label in seen.model.classes}
    if not known or {normal(value) for value in values} <= known or len(values) != len(known):
        return None
    names = named(seen, target) or sorted(values, key=str)
    why = f"the model calls its classes {listed(sorted(known))}, {target} holds {listed([str(name) for name in names])}"
    score = score_of(seen)
    area = None if score is None else auc(score, (seen.head[target] == names[-1]).to_numpy(), seen.head[target])
    if area is not None and area < 0.45:
        names = names[::-1]
    share = agreement(seen, target) if area is None else None
    order = "in alphabetical order" if share is None else f"as they agree with the answers ({share:.0%} of rows)"
    if area is not None:
        order = f"in the order that agrees with the answers (AUC {max(area, 1 - area):.2f})"
    return Proposed(key="legacy.options.classes", value=names, confidence="low", why=f"{why}: named here {order}")
