"""PMML's TreeModel, level by level over all rows at once.

A row goes to the first child whose predicate is true. Where a predicate is unknown before one is true, the tree's
missingValueStrategy decides; where none is true, its noTrueChildStrategy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from workbench.models.pmml.answers import Answer, Run, decided
from workbench.models.pmml.columns import Floats, Ints, Scope
from workbench.models.pmml.document import Element, as_float
from workbench.models.pmml.predicates import Predicate, predicate
from workbench.models.protocol import ModelError

STRATEGIES = ("none", "lastPrediction", "nullPrediction", "defaultChild", "weightedConfidence", "aggregateNodes")


@dataclass(slots=True)
class Node:
    """counts: the classes' shares of a classification, as given, None where the node gives none."""

    element: Element
    predicate: Predicate
    score: str | None
    records: float
    counts: Floats | None
    children: list[int] = field(default_factory=list)
    default: int = -1


def tree(model: Element, classes: tuple[str, ...]) -> Run:
    """A tree as a function of the fields. classes: () for a regression."""
    strategy = model.get("missingValueStrategy", "none")
    last = model.get("noTrueChildStrategy", "returnNullPrediction") == "returnLastPrediction"
    if strategy not in STRATEGIES:
        raise ModelError(f"its tree treats missing values by {strategy[:40]!r}, which PMML does not know")
    blended = strategy in ("weightedConfidence", "aggregateNodes")
    if blended and not classes:
        raise ModelError(f"its regression tree treats missing values by {strategy!r}, which is for classes only")
    nodes = nodes_of(model, classes)
    walk = _Walk(nodes, strategy, last)
    if blended:
        return lambda scope: _blended(walk, scope, classes)
    if classes:
        return _classified(walk, classes)
    values = np.array([*(_value(node.score) for node in nodes), np.nan])
    return lambda scope: Answer(values[walk.settled(scope)])


def _value(score: str | None) -> float:
    return np.nan if score is None else as_float(score, "score")


def nodes_of(model: Element, classes: tuple[str, ...]) -> list[Node]:
    """The tree's nodes, parents before children, the root first."""
    root = model.first("Node")
    if root is None:
        raise ModelError("its TreeModel has no Node: the file was cut short")
    nodes: list[Node] = []
    waiting = [(root, -1)]
    while waiting:
        element, parent = waiting.pop()
        if element.first("Regression", "DecisionTree") is not None:
            raise ModelError("a node of its tree holds another model, which is not read here: export it without")
        place = len(nodes)
        nodes.append(_node(element, classes))
        if parent >= 0:
            nodes[parent].children.append(place)
        waiting.extend((child, place) for child in reversed(list(element.all("Node"))))
    _defaults(root, nodes)
    return nodes


def _node(element: Element, classes: tuple[str, ...]) -> Node:
    counts, listed = None, list(element.all("ScoreDistribution"))
    if classes and listed:
        counts = np.zeros(len(classes))
        part = "probability" if "probability" in listed[0].attributes else "recordCount"
        for one in listed:
            counts[_place(classes, one.need("value"))] = one.number(part)
        if not (0 < counts.sum() < np.inf and counts.min() >= 0):
            raise ModelError("a node of its tree has shares of classes that are negative or all zero: it is damaged")
    records = element.number("recordCount", 0.0 if counts is None else float(counts.sum()))
    return Node(element, predicate(element), element.attributes.get("score"), records, counts)


def _place(classes: tuple[str, ...], value: str) -> int:
    if value not in classes:
        raise ModelError(f"a node of its tree scores {value[:40]!r}, which is none of its classes {list(classes)[:8]}")
    return classes.index(value)


def _defaults(root: Element, nodes: list[Node]) -> None:
    """defaultChild names a child by its id."""
    waiting = [(root, 0)]
    while waiting:
        element, place = waiting.pop()
        children = list(zip(element.all("Node"), nodes[place].children, strict=True))
        wanted = element.attributes.get("defaultChild")
        if wanted is not None:
            nodes[place].default = next((number for child, number in children if child.get("id") == wanted), -1)
            if nodes[place].default < 0:
                raise ModelError(f"a node of its tree has the default child {wanted[:40]!r}, which is not its child")
        waiting.extend(children)


class _Walk:
    def __init__(self, nodes: list[Node], strategy: str, last: bool) -> None:
        self.nodes, self.strategy, self.last = nodes, strategy, last

    def settled(self, scope: Scope) -> Ints:
        """The node each row ends in, -1 for none: the last entry of an array with one more."""
        end = np.full(scope.n, -1, dtype=np.int64)
        for node, rows, _ in self.ends(scope):
            end[rows] = node
        return end

    def ends(self, scope: Scope) -> list[tuple[int, Ints, Floats]]:
        """(node, rows, weights): where rows end; a row ends in several nodes where its way is unknown and blended."""
        found: list[tuple[int, Ints, Floats]] = []
        rows = np.arange(scope.n)
        rows = rows[self.nodes[0].predicate(scope, rows) == 1]
        waiting = [(0, rows, np.ones(len(rows)))]
        while waiting:
            place, rows, weight = waiting.pop()
            if not len(rows):
                continue
            if not self.nodes[place].children:
                found.append((place, rows, weight))
                continue
            rows, weight = self._children(scope, place, rows, weight, waiting, found)
            if self.last:
                found.append((place, rows, weight))
        return found

    def _children(
        self, scope: Scope, place: int, rows: Ints, weight: Floats, waiting: list[tuple[int, Ints, Floats]],
        found: list[tuple[int, Ints, Floats]],
    ) -> tuple[Ints, Floats]:  # fmt: skip
        """Sends rows on; gives back those that no child takes."""
        for child in self.nodes[place].children:
            if not len(rows):
                break
            truth = self.nodes[child].predicate(scope, rows)
            waiting.append((child, rows[truth == 1], weight[truth == 1]))
            stays = truth != 1
            if self.strategy != "none" and (truth < 0).any():
                self._unknown(scope, place, rows[truth < 0], weight[truth < 0], waiting, found)
                stays = truth == 0
            rows, weight = rows[stays], weight[stays]
        return rows, weight

    def _unknown(
        self, scope: Scope, place: int, rows: Ints, weight: Floats, waiting: list[tuple[int, Ints, Floats]],
        found: list[tuple[int, Ints, Floats]],
    ) -> None:  # fmt: skip
        node = self.nodes[place]
        if self.strategy == "lastPrediction":
            found.append((place, rows, weight))
        elif self.strategy == "defaultChild" and node.default >= 0:
            waiting.append((node.default, rows, weight))
        elif self.strategy in ("weightedConfidence", "aggregateNodes"):
            open_ = np.stack([self.nodes[child].predicate(scope, rows) != 0 for child in node.children])
            share = open_ * np.array([self.nodes[child].records for child in node.children])[:, None]
            total = share.sum(axis=0)
            share = share / np.where(total > 0, total, 1.0) if self.strategy == "weightedConfidence" else open_ * 1.0
            waiting.extend(
                (child, rows[takes], (weight * part)[takes])
                for child, takes, part in zip(node.children, open_, share)
            )  # fmt: skip


def _classified(walk: _Walk, classes: tuple[str, ...]) -> Run:
    nodes = walk.nodes
    with_shares = any(node.counts is not None for node in nodes)
    shares = np.full((len(nodes) + 1, len(classes)), np.nan)
    label = np.full(len(nodes) + 1, -1, dtype=np.int64)
    for place, node in enumerate(nodes):
        if node.counts is not None:
            shares[place] = node.counts / node.counts.sum()
            label[place] = int(node.counts.argmax())
        if node.score is not None:
            label[place] = _place(classes, node.score)

    def run(scope: Scope) -> Answer:
        end = walk.settled(scope)
        return Answer(None, classes, shares[end] if with_shares else None, label[end])

    return run


def _blended(walk: _Walk, scope: Scope, classes: tuple[str, ...]) -> Answer:
    """Shares of the nodes a row may end in: weighted by their records, or their counts added up."""
    total = np.zeros((scope.n, len(classes)))
    for place, rows, weight in walk.ends(scope):
        counts = walk.nodes[place].counts
        if counts is None:
            raise ModelError("a node of its tree has no shares of classes, which its missingValueStrategy needs")
        part = counts / counts.sum() if walk.strategy == "weightedConfidence" else counts
        total[rows] += weight[:, None] * part
    sums = total.sum(axis=1, keepdims=True)
    return decided(classes, np.where(sums > 0, total / np.where(sums > 0, sums, 1.0), np.nan))
