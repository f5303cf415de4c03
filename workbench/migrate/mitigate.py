"""Mitigate: make a candidate that treats groups more evenly. Whether it does, the audits say; a person chooses.

ThresholdOptimizer (Hardt, Price, Srebro 2016) moves the decision threshold of each group and leaves the candidate as
it is. ExponentiatedGradient (Agarwal et al. 2018), CorrelationRemover and AdversarialFairnessClassifier (Zhang,
Lemoine, Mitchell 2018) fit a new model on the training rows. All are fairlearn's; what they find is written as a torch
module of its own. A rule that decides by drawing lots is made one that does not, or refused.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from workbench import audit
from workbench.audit import Kind
from workbench.evidence import Finding
from workbench.migrate.mitigation.told import Rule, front, written
from workbench.migration import Roles, Task
from workbench.models import Model, ModelError, normal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from workbench.data import Table as Rows
    from workbench.migrate.mitigation.groups import Groups

QUESTION = "Can a candidate treat the groups more evenly, and at what price?"
MAKES = "alternative"
ON_REQUEST = True
NAME = "candidate.pt2"
HELD_OUT = 0.3
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Strengths along the front; 0 is the candidate as it is, or the new model without mitigation."""
FEW_STEPS = (0.0, 0.5, 1.0)
"""Where each point is a long fit."""
BATCH, STEPS_OF_FIT = 256, 400
"""Of the network: rows of a step, and steps at least."""
ROWS = 20_000
"""Training rows used at most: the reductions fit a model dozens of times."""

FRONT = Kind(
    id="mitigate/front",
    title="What evenness costs",
    why="Every mitigation trades accuracy, and somebody has to own the point that was chosen.",
    fix="Choose a strength with the owner of the process and set it: audits.mitigate.strength in migration.yaml.",
    source="fairlearn.metrics, on training rows that the fit never saw",
)
MADE = Kind(
    id="mitigate/candidate",
    title="A mitigated candidate",
    why="It is another model than the one that was compared so far, so every audit has to look at it again.",
    fix="Set it as candidate in migration.yaml, run the journey again: parity counts what it changed.",
)
REFUSED = Kind(
    id="mitigate/refused",
    title="No mitigated candidate was made",
    why="A rule that draws lots answers the same person differently each time; one without data is a guess.",
    fix="Follow the reason, or choose another method: audits.mitigate in migration.yaml.",
)
KINDS = (FRONT, MADE, REFUSED)

Method = Literal["threshold", "reduction", "decorrelation", "adversarial"]
Constraint = Literal["demographic_parity", "true_positive_rate_parity", "false_positive_rate_parity", "equalized_odds"]


class Params(audit.Params):
    method: Method = Field(
        "threshold",
        description="threshold: one for each group; reduction: ExponentiatedGradient; decorrelation: "
        "CorrelationRemover; adversarial: a network that hides the attribute",
    )
    attribute: str | None = Field(None, description="protected attribute to even out; the first of roles.protected")
    constraint: Constraint = Field("demographic_parity", description="what is to be equal between the groups")
    strength: float = Field(1.0, gt=0, le=1, description="how far to go: 1 is as even as the method gets")
    edges: tuple[float, ...] = Field((), description="where bands begin, for an attribute of many numbers")
    seed: int = Field(0, description="of the split and of the fit")


@dataclass(frozen=True)
class _Data:
    """Training rows, fit and held out. x: the raw columns; y: 0/1; group: codes; names: of the groups."""

    fit: pd.DataFrame
    y: NDArray[np.int64]
    held: pd.DataFrame
    truth: NDArray[np.int64]
    groups: Groups


def run(
    candidate: Model | None, train: Rows | None, task: Task, roles: Roles, folder: Path, params: Params
) -> Iterator[Finding]:
    """The front from held-out rows, and the candidate of the strength asked for, in a folder of its own."""
    attribute = params.attribute or (roles.protected[0] if roles.protected else None)
    if problem := _missing(candidate, train, task, attribute):
        yield REFUSED.absent(problem)
        return
    assert candidate is not None
    assert train is not None
    assert attribute is not None
    try:
        data = _data(candidate, train, task, attribute, params)
        rules = list(_rules(candidate, data, task, params))
    except ModelError as refusal:
        yield REFUSED.absent(str(refusal), attribute)
        return
    points = _points(rules, data, params.constraint)
    yield front(FRONT, points, params.constraint, attribute, len(data.held))
    key = hashlib.sha256(
        "\n".join([candidate.fingerprint, train.fingerprint, params.model_dump_json(), attribute]).encode()
    ).hexdigest()[:16]
    chosen = next(rule for rule in rules if rule.strength == params.strength)
    path = folder / "mitigated" / key / NAME
    needed = params.method in ("threshold", "decorrelation")
    yield written(MADE, chosen.save(path), folder, f"{params.method} on {attribute}", attribute if needed else "")


def _missing(candidate: Model | None, train: Rows | None, task: Task, attribute: str | None) -> str:
    if candidate is None:
        return "there is no candidate: run 42_replatform first"
    if train is None:
        return "there are no training rows to learn from: set data.train in migration.yaml"
    if attribute is None:
        return "no protected attribute is declared: set roles.protected in migration.yaml"
    return "" if task.kind == "binary" else f"the task is {task.kind}: only yes or no can be evened out here"


def _data(candidate: Model, train: Rows, task: Task, attribute: str, params: Params) -> _Data:
    import numpy as np

    from workbench.migrate.mitigation.groups import groups_of

    frame = train.sample(ROWS, params.seed)
    names = {normal(label) for label in candidate.classes}
    said = frame[task.target].map(lambda value: normal(value) if value == value and value is not None else "")
    frame = frame[said.isin(names)].reset_index(drop=True)
    truth = np.asarray(said[said.isin(names)] == normal(task.positive)).astype(np.int64)
    if len(frame) < 200 or min(truth.sum(), len(truth) - truth.sum()) < 20:
        raise ModelError(f"{len(frame)} rows with a known {task.target!r} are too few to fit a rule and test it")
    held = np.random.default_rng(params.seed).random(len(frame)) < HELD_OUT
    groups = groups_of(frame, attribute, params.edges)
    fit, rest = (frame[mask].reset_index(drop=True) for mask in (~held, held))
    return _Data(fit, truth[~held], rest, truth[held], groups)


def _rules(candidate: Model, data: _Data, task: Task, params: Params) -> Iterator[Rule]:
    """A rule for each strength of the front, and for the one asked for."""
    steps = sorted({*(STEPS if params.method in ("threshold", "decorrelation") else FEW_STEPS), params.strength})
    make = {
        "threshold": _thresholds,
        "reduction": _reduction,
        "decorrelation": _decorrelation,
        "adversarial": _adversarial,
    }[params.method]
    yield from make(candidate, data, task, params, steps)


def _thresholds(candidate: Model, data: _Data, task: Task, params: Params, steps: Sequence[float]) -> Iterator[Rule]:
    """Each group's threshold, between the task's own (strength 0) and that of fairlearn's ThresholdOptimizer (1)."""
    import numpy as np

    from workbench.migrate.mitigation.thresholds import with_thresholds

    path = Path(str(getattr(candidate, "path", "")))
    if candidate.format != "torch" or not path.with_suffix(".json").exists():
        raise ModelError("thresholds are added to a candidate that 42_replatform made, with its plain spec")
    place = _place(candidate, task)
    far = _optimised(_scores(candidate, data.fit, place), data, params)

    goal = np.array([far.get(label, task.threshold) for label in data.groups.labels])

    def rule(strength: float) -> Rule:
        own = task.threshold + strength * (goal - task.threshold)

        def decide(rows: pd.DataFrame) -> NDArray[np.int64]:
            return (_scores(candidate, rows, place) >= own[data.groups.codes(rows)]).astype(np.int64)

        def save(to: Path) -> tuple[Path, ...]:
            return with_thresholds(path, data.groups, own.tolist(), task.threshold, place).save(to)

        return Rule(strength, decide, save)

    yield from map(rule, steps)


def _optimised(scores: NDArray[np.float64], data: _Data, params: Params) -> dict[str, float]:
    """By group the threshold that gives, without drawing lots, the rate ThresholdOptimizer gives by drawing them."""
    import numpy as np
    from fairlearn.postprocessing import ThresholdOptimizer

    from workbench.migrate.mitigation.refit import given
    from workbench.migrate.mitigation.thresholds import nearest

    if params.constraint == "equalized_odds":
        raise ModelError(
            "equalized odds by thresholds needs lots: of two people alike one is selected and one is not. Choose "
            "true_positive_rate_parity, or another method"
        )
    named = data.groups.named(data.fit)
    among = {"true_positive_rate_parity": data.y == 1, "false_positive_rate_parity": data.y == 0}.get(
        params.constraint, np.ones(len(named), dtype=bool)
    )
    known = named != data.groups.labels[-1]
    for label in np.unique(named[known]):
        if min((inside := data.y[named == label]).sum(), len(inside) - inside.sum()) < 10:
            raise ModelError(f"of the group {label!r} fewer than ten rows are of one class: no threshold holds")
    made = ThresholdOptimizer(
        estimator=given(), constraints=params.constraint, prefit=True, predict_method="predict_proba"
    )
    made.fit(scores[known, None], data.y[known], sensitive_features=named[known])
    chance = made._pmf_predict(scores[known, None], sensitive_features=named[known])[:, 1]
    found = {}
    for label in np.unique(named[known]):
        rows = (named[known] == label) & among[known]
        found[str(label)] = nearest(scores[known][rows], float(chance[rows].mean()))
    return found


def _place(candidate: Model, task: Task) -> int:
    return [normal(label) for label in candidate.classes].index(normal(task.positive))


def _columns(candidate: Model, task: Task) -> list[str]:
    """What the candidate reads; never the truth, which a model fitted with it in its table lists among its columns."""
    return [one.name for one in candidate.inputs if one.name != task.target]


def _scores(candidate: Model, rows: pd.DataFrame, place: int) -> NDArray[np.float64]:
    outputs = candidate.predict(rows)
    if outputs.scores is None:
        raise ModelError("the candidate gives no scores, only decisions: there is no threshold to move")
    return outputs.scores[:, place]


def _reduction(candidate: Model, data: _Data, task: Task, params: Params, steps: Sequence[float]) -> Iterator[Rule]:
    """ExponentiatedGradient over logistic regressions; its mixture, which draws lots, becomes a weighted majority."""
    import numpy as np
    from fairlearn.reductions import (
        DemographicParity,
        EqualizedOdds,
        ExponentiatedGradient,
        FalsePositiveRateParity,
        TruePositiveRateParity,
    )
    from sklearn.linear_model import LogisticRegression

    from workbench.migrate.mitigation.refit import Refit

    kinds = {
        "demographic_parity": DemographicParity,
        "equalized_odds": EqualizedOdds,
        "true_positive_rate_parity": TruePositiveRateParity,
        "false_positive_rate_parity": FalsePositiveRateParity,
    }
    fitted = Refit(candidate, data.fit, task, _columns(candidate, task))
    plain = LogisticRegression(max_iter=500).fit(fitted.x, data.y)
    named = data.groups.named(data.fit)
    before = gap(data.y, plain.predict(fitted.x), named, params.constraint)
    for strength in steps:
        members, weights = [plain], np.ones(1)
        if strength:
            bound = max(0.005, (1 - strength) * before)
            made = ExponentiatedGradient(
                LogisticRegression(max_iter=500), kinds[params.constraint](difference_bound=bound), max_iter=20
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pandas warns of how fairlearn writes its series
                made.fit(fitted.x, data.y, sensitive_features=named)
            used = [place for place, weight in made.weights_.items() if weight > 1e-6]
            members, weights = [made.predictors_[place] for place in used], made.weights_[used].to_numpy(np.float64)
        yield fitted.rule(strength, fitted.voted([_line(one, fitted.x.shape[1]) for one in members], weights))


def _line(model: Any, width: int) -> tuple[NDArray[np.float64], float]:
    """Coefficients and intercept of a logistic regression, or of the constant that stands for one class only."""
    import numpy as np

    if hasattr(model, "coef_"):
        return model.coef_[0], float(model.intercept_[0])
    return np.zeros(width), 20.0 if int(model.predict(np.zeros((1, width)))[0]) else -20.0


def _decorrelation(candidate: Model, data: _Data, task: Task, params: Params, steps: Sequence[float]) -> Iterator[Rule]:
    """A logistic regression on columns freed of their linear tie to the attribute; both steps as one regression."""
    import numpy as np
    from fairlearn.preprocessing import CorrelationRemover
    from sklearn.linear_model import LogisticRegression

    from workbench.migrate.mitigation.refit import Refit

    others = [name for name in _columns(candidate, task) if name != data.groups.attribute]
    fitted = Refit(candidate, data.fit, task, others, apart=data.groups.attribute)
    width = fitted.x.shape[1]
    tied = list(range(width - fitted.apart, width))
    for strength in steps:
        remover = CorrelationRemover(sensitive_feature_ids=tied, alpha=strength).fit(fitted.x)
        made = LogisticRegression(max_iter=500).fit(remover.transform(fitted.x), data.y)
        tie = strength * remover.beta_ @ made.coef_[0]
        intercept = float(made.intercept_[0] + remover.sensitive_mean_ @ tie)
        yield fitted.rule(strength, fitted.line(np.concatenate([made.coef_[0], -tie]), intercept))


def _adversarial(candidate: Model, data: _Data, task: Task, params: Params, steps: Sequence[float]) -> Iterator[Rule]:
    """A network whose answer an adversary cannot tell the group from; strength 0 is a plain logistic regression."""
    from fairlearn.adversarial import AdversarialFairnessClassifier
    from sklearn.linear_model import LogisticRegression

    from workbench.migrate.mitigation.refit import Refit

    if params.constraint not in ("demographic_parity", "equalized_odds"):
        raise ModelError(f"the adversary knows demographic_parity and equalized_odds, not {params.constraint}")
    fitted = Refit(candidate, data.fit, task, _columns(candidate, task))
    plain = LogisticRegression(max_iter=500).fit(fitted.x, data.y)
    if 0 in steps:
        yield fitted.rule(0.0, fitted.line(*_line(plain, fitted.x.shape[1])))
    for strength in (step for step in steps if step):
        made = AdversarialFairnessClassifier(
            backend="torch",
            predictor_model=[32, "relu"],
            adversary_model=[16, "relu"],
            constraints=params.constraint,
            alpha=strength,
            epochs=max(10, STEPS_OF_FIT * BATCH // len(fitted.x)),
            batch_size=BATCH,
            learning_rate=0.002,
            shuffle=True,
            random_state=params.seed,
        )
        try:
            made.fit(fitted.x, data.y, sensitive_features=data.groups.named(data.fit))
        except RuntimeError as error:
            raise ModelError(f"the adversary's training ran away ({error}): choose another method or seed") from error
        parts = [layer for layer in made.backendEngine_.predictor_model.layers_ if hasattr(layer, "weight")]
        layers = [(one.weight.detach().double().numpy().T, one.bias.detach().double().numpy()) for one in parts]
        yield fitted.rule(strength, fitted.network(layers))


def gap(truth: NDArray[np.int64], decision: NDArray[np.int64], groups: NDArray[np.str_], constraint: str) -> float:
    """The constraint's largest difference between two groups, by fairlearn."""
    from fairlearn import metrics

    by = {"y_true": truth, "y_pred": decision, "sensitive_features": groups}
    if constraint == "false_positive_rate_parity":
        return float(metrics.MetricFrame(metrics=metrics.false_positive_rate, **by).difference())
    named = {
        "demographic_parity": metrics.demographic_parity_difference,
        "equalized_odds": metrics.equalized_odds_difference,
        "true_positive_rate_parity": metrics.equal_opportunity_difference,
    }
    return float(named[constraint](**by))


def _points(rules: Sequence[Rule], data: _Data, constraint: str) -> list[tuple[float, float, float, float]]:
    """For each rule on the held-out rows: strength, accuracy, gap, share selected."""
    import numpy as np

    named = data.groups.named(data.held)
    known = named != data.groups.labels[-1]
    found = []
    for rule in rules:
        said = rule.decide(data.held)
        gap_ = gap(data.truth[known], said[known], named[known], constraint)
        found.append((rule.strength, float(np.mean(said == data.truth)), gap_, float(said.mean())))
    return found
