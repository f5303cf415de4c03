"""PMML trees in the tree IR, where they fit it: then they can be lifted, and answer the same up to rounding.

They fit where every predicate asks one raw number by its size. Children asked one after the other become splits one
below the other; missing values go the way the tree's strategy says; where there is no answer, the leaf is NaN and
`Trees.unanswered` is set.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from workbench.models.pmml.document import Element, as_float
from workbench.models.pmml.fields import DataField, MiningField
from workbench.models.pmml.trees import Node, nodes_of
from workbench.models.protocol import ModelError
from workbench.models.trees import MISSING_NAN, Link, Nodes, Trees, assemble

SPLITS = {"lessThan": "greaterOrEqual", "lessOrEqual": "greaterThan"}
Way = tuple[str, int, int]
"""("node", node, 0), ("ask", node, which of its children), ("here", node whose answer it is, 0) or ("none", 0, 0)."""
BLENDED = ("weightedConfidence", "aggregateNodes")


class DoesNotFit(ModelError):  # noqa: N818
    """The IR cannot hold it; the message says why."""


@dataclass(frozen=True)
class Shape:
    """Tree elements, each with its output; base and what happens to the sums."""

    trees: list[tuple[Element, int]]
    base: list[float]
    mean: bool = False
    link: Link = "identity"
    scale: float = 1.0


def ensemble(
    model: Element, classes: tuple[str, ...], active: list[MiningField], fields: dict[str, DataField]
) -> Trees:
    """Raises DoesNotFit saying what of the model the IR cannot hold."""
    single = _precision(model, active, fields)
    shape = _shape(model, classes)
    names = [one.name for one in active]
    shares = bool(classes) and shape.link == "identity"
    made = [
        _Grower(element, classes if shares else (), {name: place for place, name in enumerate(names)}, single).nodes()
        for element, _ in shape.trees
    ]
    trees = assemble(
        made,
        features=tuple(names),
        base=np.zeros(len(classes)) if shares else np.array(shape.base),
        tree_output=None if shares else np.array([output for _, output in shape.trees], dtype=np.int32),
        precision="float32" if single else "float64",
        aggregation="mean" if shape.mean else "sum",
        link=shape.link,
        link_scale=shape.scale,
        unanswered=True,
    )
    trees.validate()
    return trees


def _precision(model: Element, active: list[MiningField], fields: dict[str, DataField]) -> bool:
    """Whether the inputs are float32. Only plain numbers fit: nothing replaced, and nothing invalid."""
    for one in active:
        found = fields[one.name]
        plain = one.replacement is None and one.outliers == "asIs"
        listed = found.valid or found.invalid or found.missing or found.intervals
        if found.data_type not in ("double", "float", "integer") or not plain or listed:
            raise DoesNotFit(f"its input {one.name!r} is not a plain number: it is text, replaced, listed or bounded")
    kinds = {fields[one.name].data_type == "float" for one in active}
    if len(kinds) > 1:
        raise DoesNotFit("some of its inputs are float32 and others float64")
    if next(model.below("LocalTransformations"), None) is not None or model.get("x-mathContext") == "float":
        raise DoesNotFit("it computes fields before its trees, or adds in float32")
    return kinds == {True}


def _shape(model: Element, classes: tuple[str, ...]) -> Shape:
    if model.tag == "TreeModel":
        return Shape([(model, 0)], [_constant(model)])
    segments = _segments(model)
    method = "" if segments is None else segments[0].get("multipleModelMethod")
    if segments is None or not (method == "average" or (method == "sum" and not classes) or method == "modelChain"):
        raise DoesNotFit(f"it is a <{model.tag}> that joins its parts by {method or 'formula'!r}")
    inner = [segment for segment in segments[1:] if segment.tag == "TreeModel"]
    if method == "modelChain":
        return _chain(segments[1:], classes)
    if segments[0].get("missingPredictionTreatment") == "skipSegment":
        raise DoesNotFit("it leaves out segments that have no answer")
    if len(inner) != len(segments) - 1 or any(tree.first("Targets") for tree in inner):
        raise DoesNotFit("its segments are not all plain trees")
    return Shape([(tree, 0) for tree in inner], [_constant(model)], mean=method == "average")


def _segments(model: Element) -> list[Element] | None:
    """The Segmentation, then the models of its segments, all of them for every row."""
    found = model.first("Segmentation") if model.tag == "MiningModel" else None
    if found is None:
        return None
    models: list[Element] = []
    for segment in found.all("Segment"):
        if segment.first("True") is None:
            raise DoesNotFit("a segment of it is for some rows only")
        models.extend(segment.all("TreeModel", "MiningModel", "RegressionModel", "Scorecard"))
    return [found, *models]


def _constant(model: Element) -> float:
    """What a regression's Targets add. Raises DoesNotFit where they do more."""
    found = model.first("Targets")
    target = None if found is None else found.first("Target")
    if target is None:
        return 0.0
    if any(name in target.attributes for name in ("min", "max", "castInteger")):
        raise DoesNotFit("it clips or rounds its target")
    if target.number("rescaleFactor", 1.0) != 1.0:
        raise DoesNotFit("it scales its target")
    return target.number("rescaleConstant", 0.0)


def _chain(models: list[Element], classes: tuple[str, ...]) -> Shape:
    """Sums of trees, then their logistic function or softmax."""
    *sums, last = models
    outputs = [_output(model) for model in sums]
    if last.tag != "RegressionModel" or not classes:
        raise DoesNotFit("its chain does not end in a classifying regression")
    tables = {table.get("targetCategory"): table for table in last.all("RegressionTable")}
    terms = {label: _term(table) for label, table in tables.items()}
    shapes = [_shape(model, ()) for model in sums]
    if any(shape.mean or shape.link != "identity" for shape in shapes) or not classes:
        raise DoesNotFit("its chain begins with something else than sums of trees")
    method = last.get("normalizationMethod", "none")
    if method == "logit" and len(classes) == 2 and len(sums) == 1:
        return _logit(last, shapes[0], terms, outputs[0], classes)
    order = {name: place for place, name in enumerate(outputs)}
    places = [order.get(terms[label][0], -1) if label in terms else -1 for label in classes]
    if method != "softmax" or sorted(places) != list(range(len(sums))) or any(terms[k][1] != 1 for k in classes):
        raise DoesNotFit("its chain ends in another formula than a logistic function or a softmax of the sums")
    trees = [(tree, k) for k, place in enumerate(places) for tree, _ in shapes[place].trees]
    base = [shapes[place].base[0] + terms[label][2] for place, label in zip(places, classes)]
    return Shape(trees, base, link="softmax")


def _output(model: Element) -> str:
    """The name under which a model of a chain puts out its value."""
    found = model.first("Output")
    named = (
        [one for one in found.all("OutputField") if one.get("feature", "predictedValue") == "predictedValue"]
        if found
        else []
    )
    return named[0].get("name") if len(named) == 1 else ""


def _term(table: Element) -> tuple[str, float, float]:
    """(field, coefficient, intercept) of a table with one term, or ("", 0, intercept)."""
    terms = list(table.all("NumericPredictor", "CategoricalPredictor", "PredictorTerm"))
    if not terms:
        return "", 0.0, table.number("intercept")
    if len(terms) > 1 or terms[0].tag != "NumericPredictor" or terms[0].number("exponent", 1.0) != 1:
        raise DoesNotFit("its chain ends in a formula of several terms")
    return terms[0].need("name"), terms[0].number("coefficient"), table.number("intercept")


def _logit(
    last: Element, shape: Shape, terms: dict[str, tuple[str, float, float]], output: str, classes: tuple[str, ...]
) -> Shape:
    """The first table's class gets the logistic function, whatever its place among the classes."""
    first = next(last.all("RegressionTable")).get("targetCategory")
    name, coefficient, intercept = terms[first]
    if name != output or abs(coefficient) != 1.0 or intercept != 0.0:
        raise DoesNotFit("its logistic function scales or shifts the sum of the trees")
    return Shape(shape.trees, shape.base, link="sigmoid", scale=coefficient if first == classes[1] else -coefficient)


@dataclass
class _Grower:
    """One tree into the IR's nodes, the root first."""

    element: Element
    classes: tuple[str, ...]
    places: dict[str, int]
    single: bool
    rows: list[tuple[int, float, int, int, bool]] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    covers: list[float] = field(default_factory=list)

    def nodes(self) -> Nodes:
        strategy = self.element.get("missingValueStrategy", "none")
        if strategy in BLENDED:
            raise DoesNotFit(f"its tree treats missing values by {strategy!r}")
        found = nodes_of(self.element, self.classes)
        if found[0].element.first("True") is None:
            raise DoesNotFit("its tree's root is for some rows only")
        last = self.element.get("noTrueChildStrategy") == "returnLastPrediction"
        self._grow(found, strategy, last)
        feature, threshold, left, right, default = (np.array(part) for part in zip(*self.rows))
        return Nodes(
            feature=feature,
            threshold=threshold,
            left=left,
            right=right,
            default_left=default.astype(bool),
            value=np.array(self.values),
            cover=np.array(self.covers),
            missing=np.full(len(feature), MISSING_NAN, np.uint8),
        )

    def _add(self, node: Node | None, feature: int = -1, threshold: float = 0.0, default: bool = False) -> int:
        """A node whose children come later; a leaf holds its answer, NaN where there is none."""
        self.rows.append((feature, threshold, -1, -1, default))
        self.values.append(self._answer(node) if feature < 0 else [0.0] * max(1, len(self.classes)))
        self.covers.append(0.0 if node is None else node.records)
        return len(self.rows) - 1

    def _link(self, parent: int, side: int, child: int) -> None:
        row = list(self.rows[parent])
        row[2 + side] = child
        self.rows[parent] = tuple(row)  # type: ignore[assignment]

    def _answer(self, node: Node | None) -> list[float]:
        none = [np.nan] * max(1, len(self.classes))
        if node is None:
            return none
        if not self.classes:
            return none if node.score is None else [as_float(node.score, "score")]
        if node.counts is None:
            raise DoesNotFit("a node of its tree has a class and no shares")
        if node.score is not None and node.score != self.classes[int(node.counts.argmax())]:
            raise DoesNotFit("a node of its tree decides for another class than the most frequent one")
        return list(node.counts / node.counts.sum())

    def _grow(self, nodes: list[Node], strategy: str, last: bool) -> None:
        """Children asked one after the other become splits one below the other."""
        waiting: list[tuple[Way, int, int]] = [(("node", 0, 0), -1, 0)]
        while waiting:
            way, parent, side = waiting.pop()
            way = _settled(way, nodes, last)
            if way[0] != "ask":
                self._hang(parent, side, self._add(nodes[way[1]] if way[0] != "none" else None))
                continue
            feature, threshold, yes, no, missing = self._split(way, nodes, strategy, last)
            low, high = yes, no
            if _comparison(nodes, way).get("operator") not in SPLITS:
                low, high = no, yes
            if missing in (low, high):
                made = top = self._add(None, feature, threshold, default=missing == low)
            elif missing[0] in ("here", "none"):
                # A gate that every number passes, and behind it the answer for what is missing.
                top = self._add(None, feature, np.inf)
                made = self._add(None, feature, threshold)
                self._link(top, 0, made)
                self._link(top, 1, self._add(nodes[missing[1]] if missing[0] == "here" else None))
            else:
                raise DoesNotFit("a missing value goes to a child that another question leads to")
            self._hang(parent, side, top)
            waiting += [(high, made, 1), (low, made, 0)]

    def _hang(self, parent: int, side: int, child: int) -> None:
        if parent >= 0:
            self._link(parent, side, child)

    def _split(self, way: Way, nodes: list[Node], strategy: str, last: bool) -> tuple[int, float, Way, Way, Way]:
        """(feature, threshold of <=, where it goes if the question holds, if not, if the value is missing)."""
        _, place, turn = way
        node, test = nodes[place], _comparison(nodes, way)
        name, operator = test.need("field"), test.need("operator")
        if name not in self.places or _opposite(operator) == "":
            raise DoesNotFit(f"its tree asks {name!r} by {operator!r}, and not a raw number by its size")
        yes = _settled(("node", node.children[turn], 0), nodes, last)
        no = missing = _settled(("ask", place, turn + 1), nodes, last)
        if turn + 2 == len(node.children) and _complement(test, nodes[node.children[turn + 1]].element):
            no = _settled(("node", node.children[turn + 1], 0), nodes, last)
            missing = _settled(("ask", place, turn + 2), nodes, last)
        kind = np.float32 if self.single else np.float64
        bound = kind(test.number("value"))
        if operator in ("lessThan", "greaterOrEqual"):
            bound = np.nextafter(bound, kind(-np.inf))
        if strategy != "none":
            missing = self._unknown(place, nodes, strategy, last)
        return self.places[name], float(bound), yes, no, missing

    def _unknown(self, place: int, nodes: list[Node], strategy: str, last: bool) -> Way:
        if strategy == "lastPrediction":
            return ("here", place, 0)
        if strategy == "defaultChild" and nodes[place].default >= 0:
            return _settled(("node", nodes[place].default, 0), nodes, last)
        return ("none", 0, 0)


def _settled(way: Way, nodes: list[Node], last: bool) -> Way:
    """Where a way leads without a question: to a leaf ("here"), no answer ("none"), or the next question ("ask")."""
    while True:
        kind, place, turn = way
        if kind == "node":
            way = ("ask", place, 0) if nodes[place].children else ("here", place, 0)
        elif kind == "ask" and turn == len(nodes[place].children):
            return ("here", place, 0) if last else ("none", 0, 0)
        elif kind == "ask" and _test(nodes[nodes[place].children[turn]].element) is None:
            way = ("node", nodes[place].children[turn], 0)
        else:
            return way


def _comparison(nodes: list[Node], way: Way) -> Element:
    found = _test(nodes[nodes[way[1]].children[way[2]]].element)
    assert found is not None
    return found


def _complement(test: Element, other: Element) -> bool:
    """Whether the other child takes exactly what this one leaves."""
    found = _test(other)
    if found is None or found.get("field") != test.get("field"):
        return False
    return found.get("operator") == _opposite(test.get("operator")) and found.number("value") == test.number("value")


def _opposite(operator: str) -> str:
    return {**SPLITS, **{other: one for one, other in SPLITS.items()}}.get(operator, "")


def _test(element: Element) -> Element | None:
    """The node's comparison, None for <True>. Raises DoesNotFit for any other predicate."""
    found = element.first("SimplePredicate")
    if found is None and element.first("True") is None:
        raise DoesNotFit("its tree asks by a set of values or a compound predicate")
    return found
