"""More than sums of leaves: isolation forests, boosting that starts from a model, linear leaves and boosters."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.migrate.lift.answer import Label, answer_op
from workbench.migrate.lift.columns import CannotLift, Columns, Context, chain, fresh, numbers, predictor, take
from workbench.migrate.lift.committee_ops import Plus
from workbench.migrate.lift.committees import verdict
from workbench.migrate.lift.ensemble import ensemble
from workbench.migrate.lift.members import child, classes_of, member, members, scores, told
from workbench.migrate.lift.ops import Arrays, Beside, Op
from workbench.models.protocol import Piece
from workbench.models.trees import Trees

Floats = NDArray[np.float64]


class Isolation(Op):
    """Sums of depths [n, 1] → `-2 ** (-depth / whole) - offset` (Liu, Ting and Zhou 2008): below 0 for outliers."""

    name = "isolation"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        whole = float(self.config["whole"])  # type: ignore[arg-type]
        share = x / whole if whole else torch.ones_like(x)
        margin: Tensor = -torch.exp2(-share) - float(self.config["offset"])  # type: ignore[arg-type]
        return margin


class Single(Op):
    """Numbers rounded to float32. missing, where there: the number that stands for NaN."""

    name = "single"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        rounded = x.float()
        if "missing" in self.config:
            stands = float(self.config["missing"])  # type: ignore[arg-type]
            rounded = rounded.masked_fill(rounded == stands, float("nan"))
        return rounded.double()


class Logits(Op):
    """Probabilities to the raw sums that boosting starts from: log-odds times `scale` of one column, or the logarithm
    of each of several over their geometric mean; clipped off 0 and 1 as the library does."""

    name = "logits"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        eps = torch.finfo(torch.float64).eps
        x = x.clamp(eps, 1 - eps)
        if x.shape[1] > 1:
            return torch.log(x / torch.exp(torch.log(x).mean(dim=1, keepdim=True)))
        odds: Tensor = torch.logit(x) * float(self.config["scale"])  # type: ignore[arg-type]
        return odds


class Linears(Op):
    """Beside features [n, F] the leaves [n, T] that a row is in → raw sums [n, K] of the leaves' linear models.

    constant, plain [L]: a leaf's constant, and its answer where one of its features is missing. feature, weight [L, w]:
    feature F, always 0, fills up. order [T]: trees output by output; config: outputs; mean.
    """

    name = "linear-leaves"
    constant: Tensor
    plain: Tensor
    feature: Tensor
    weight: Tensor
    order: Tensor

    def cells(self) -> int:
        return self.order.shape[0] * self.feature.shape[1]

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        trees, outputs = self.order.shape[0], int(self.config["outputs"])  # type: ignore[arg-type]
        features, leaf = x[:, : x.shape[1] - trees], x[:, x.shape[1] - trees :].long()
        wide = torch.cat([features, torch.zeros_like(features[:, :1])], dim=1)
        total, missing = self.constant[leaf], torch.zeros_like(leaf, dtype=torch.bool)
        for place in range(self.feature.shape[1]):
            value = wide.gather(1, self.feature[:, place][leaf])
            missing = missing | value.isnan()
            total = total + self.weight[:, place][leaf] * value
        total = torch.where(missing, self.plain[leaf], total)
        each = total.index_select(1, self.order).reshape(-1, outputs, trees // outputs)
        together = each.cumsum(2)[:, :, -1]
        return together / (trees // outputs) if self.config["mean"] else together


class SingleLinear(Op):
    """`bias + sum of value * weight` over the values that are there, in float32 and in the features' order."""

    name = "single-linear"
    weight: Tensor
    bias: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        x = torch.nan_to_num(x.float(), nan=0.0, posinf=float("inf"), neginf=float("-inf"))
        total = self.bias.float().expand(x.shape[0], -1)
        for place in range(self.weight.shape[0]):
            total = total + x[:, place : place + 1] * self.weight[place].float()
        return total.double()


@predictor("sklearn.ensemble.IsolationForest")
def isolation_forest(piece: Piece, columns: Columns, context: Context) -> Op:
    """Class -1 for outliers, 1 for the rest; the margin is the library's decision function."""
    if context.classes != (-1, 1):
        raise CannotLift(piece.kind, "it tells -1 (outlier) from 1, and the model's classes are others")
    before, count = numbers(piece, columns)
    if id(piece) not in context.built:
        context.built[id(piece)] = ensemble(_depths(piece, count))
    size = float(piece.params["_max_samples"])  # type: ignore[arg-type]
    whole = len(members(piece)) * _average_path(size)
    last = Isolation({"whole": whole, "offset": float(piece.params["offset_"])})  # type: ignore[arg-type]
    return chain([*before, context.built[id(piece)], last, verdict(0, ">=", raw=True)])


def _average_path(n: float) -> float:
    """Of an unsuccessful search in a tree of n rows."""
    return 0.0 if n <= 1 else 1.0 if n == 2 else 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n


def _depths(piece: Piece, count: int) -> Trees:
    """All its trees as one ensemble that adds depths."""
    found = []
    for number, part in enumerate(members(piece)):
        length, average = (
            piece.arrays.get(f"{name}.{number}") for name in ("_decision_path_lengths", "_average_path_length_per_tree")
        )
        if part.trees is None or length is None or average is None:
            raise CannotLift(
                piece.kind, "it was made before scikit-learn 1.3 and does not hold the depths of its leaves"
            )
        at = np.asarray(piece.arrays.get(f"estimators_features_.{number}", np.arange(count)), dtype=np.int32)
        depth = length.astype(np.float64) + average.astype(np.float64) - 1.0
        feature = np.where(part.trees.feature < 0, -1, at[part.trees.feature]).astype(np.int32)
        found.append(dataclasses.replace(part.trees, feature=feature, value=depth[:, None]))
    return _together(found, tuple(f"x{number}" for number in range(count)))


def _together(parts: list[Trees], features: tuple[str, ...]) -> Trees:
    """Ensembles of one output each, added up in their order."""
    starts = np.concatenate([[0], np.cumsum([len(part.feature) for part in parts])]).astype(np.int32)

    def joined(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    def moved(name: str) -> NDArray[np.int32]:
        each = [
            np.where(getattr(part, name) < 0, -1, getattr(part, name) + start) for part, start in zip(parts, starts)
        ]
        return np.concatenate(each).astype(np.int32)

    same = ("feature", "threshold", "default_left", "missing", "category", "unknown_left", "value", "cover", "weight")
    new: dict[str, Any] = {name: joined(name) for name in same}
    new |= {name: moved(name) for name in ("roots", "left", "right")}
    new["tree_output"] = np.zeros(len(new["roots"]), np.int32)
    return dataclasses.replace(parts[0], features=features, base=np.zeros(1), aggregation="sum", link="identity", **new)


def started(piece: Piece, columns: Columns, context: Context, trees: list[Op]) -> list[Op]:
    """Gradient boosting's raw sums where it starts from a model; trees: ops from its features to its own raw sums."""
    before, count = numbers(piece, columns)
    start, every = child(piece, "init_"), fresh(count)
    own: list[Op] = [Single()]
    if not context.classes:
        own.append(told(member(start, every, context), "values"))
    else:
        if len(classes_of(start)) != len(context.classes):
            raise CannotLift(piece.kind, "the model it starts from has other classes")
        chance = scores(start, every, context)
        if len(context.classes) == 2:
            chance = told(member(start, every, context), "scores", columns=[1])
        scale = 0.5 if piece.params.get("loss") == "exponential" else 1.0
        own += [chance, Logits({"scale": scale})]
    return [*before, Plus({}, {}, [chain(own), chain(trees)])]


def missing_op(piece: Piece, missing: float) -> Op:
    """XGBoost's `missing`: this number as well as NaN is missing, compared in float32."""
    if piece.params.get("categories"):
        raise CannotLift(piece.kind, f"it takes {missing} for missing, and has categories", "Train it with missing=nan")
    return Single({"missing": missing})


def linear_raw(piece: Piece, part: Piece, columns: Columns) -> tuple[list[Op], int, str, float]:
    """(ops to raw sums, how many, link, its scale) of a booster whose leaves, or which itself, are linear models."""
    before, count = numbers(piece, columns)
    link, scale = str(part.params["link"]), float(part.params["link_scale"])  # type: ignore[arg-type]
    if part.kind == "xgboost.LinearBooster":
        weight, bias = part.arrays["weight"], part.arrays["bias"]
        if count != len(weight):
            raise CannotLift(piece.kind, f"it has {len(weight)} weights, and {count} columns reach it")
        arrays: Arrays = {"weight": weight.astype(np.float64), "bias": bias.astype(np.float64).reshape(1, -1)}
        return [*before, SingleLinear({}, arrays)], weight.shape[1], link, scale
    trees = part.trees
    if trees is None or count != len(trees.features):
        raise CannotLift(piece.kind, f"{count} columns reach it, which its leaves do not fit")
    if len(set(np.bincount(trees.tree_output, minlength=trees.n_outputs).tolist())) > 1:
        raise CannotLift(piece.kind, "its outputs have different numbers of trees")
    leaf = np.cumsum(trees.feature < 0) - 1
    each = dataclasses.replace(
        trees,
        value=np.where(trees.feature < 0, leaf, 0).astype(np.float64)[:, None],
        tree_output=np.arange(trees.n_trees, dtype=np.int32),
        weight=np.ones(trees.n_trees),
        base=np.zeros(trees.n_trees),
        aggregation="sum",
    )
    last = Linears({"outputs": trees.n_outputs, "mean": trees.aggregation == "mean"}, _leaf_models(part, trees))
    return [*before, Beside({}, {}, [take(range(count)), ensemble(each)]), last], trees.n_outputs, link, scale


def _leaf_models(part: Piece, trees: Trees) -> Arrays:
    ends = np.flatnonzero(trees.feature < 0)
    start = part.arrays["start"].astype(np.int64)
    sizes = start[ends + 1] - start[ends]
    width = max(1, int(sizes.max(initial=0)))
    feature = np.full((len(ends), width), len(trees.features), dtype=np.int64)
    weight = np.zeros((len(ends), width))
    for row, (node, size) in enumerate(zip(ends, sizes)):
        feature[row, :size] = part.arrays["feature"][start[node] : start[node] + size]
        weight[row, :size] = part.arrays["weight"][start[node] : start[node] + size]
    arrays: Arrays = {"feature": feature, "weight": weight, "order": np.argsort(trees.tree_output, kind="stable")}
    arrays["constant"] = part.arrays["constant"].astype(np.float64)[ends]
    arrays["plain"] = trees.value[ends, 0]
    return arrays


@predictor("lightgbm.LinearLeaves", "xgboost.LinearBooster")
def linear_alone(piece: Piece, columns: Columns, context: Context) -> Op:
    return linear_answer(piece, piece, columns, context, piece.kind.startswith("xgboost."))


def linear_answer(piece: Piece, part: Piece, columns: Columns, context: Context, float32: bool) -> Op:
    ops, outputs, link, scale = linear_raw(piece, part, columns)
    if context.task != "regression" and link in ("identity", "exp"):
        raise CannotLift(piece.kind, f"its objective gives no probability (link {link!r})")
    label: Label = "argmax"
    last = answer_op(piece, context, outputs, link=link, link_scale=scale, label=label, float32=float32)
    return chain([*ops, last])
