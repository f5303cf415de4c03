"""What stands before trees or a link in a lifted model, as one compiled operator of the same IEEE operations.

The ops of `ops.py` that have a form in `models.tree_kernel.steps` are followed column by column: moving columns costs
nothing then, and what they compute is computed for a row at once. Where an op has no such form, it and what follows
stay torch operators; a matrix product is one of them, for it adds in the order of the source's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from workbench.migrate.lift.answer import Answer
from workbench.migrate.lift.grown import Single
from workbench.migrate.lift.ops import (
    Above,
    Affine,
    Beside,
    Bins,
    Chain,
    Clip,
    Fill,
    Lookup,
    MatMul,
    MissingFlag,
    Monomials,
    Nothing,
    OneOf,
    Op,
    Outputs,
    Take,
    ValueLookup,
)
from workbench.migrate.lift.tree_op import RULES, TreeClasses, TreeEnsemble
from workbench.models.protocol import Plain
from workbench.models.tree_kernel.direct import Direct, Two
from workbench.models.tree_kernel.op import compiled, row_steps, two_classes, votes
from workbench.models.tree_kernel.steps import Steps


class Prepared(Op):
    """Numbers [n, F] and codes → numbers [n, width], by the compiled steps; its one part says the same in torch.

    steps: see `models.tree_kernel.steps`.
    """

    name = "prepared"
    two_forms = True
    steps: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return row_steps(x, codes, self.steps, int(self.config["width"]))  # type: ignore[arg-type]


class TwoClasses(Op):
    """Margins [n, 1] → named outputs of a binary model in one call; its one part is the answer that says the same.

    config: single, scale, rule as `models.tree_kernel.op.two_classes` takes them; raw: whether the margin is one.
    """

    name = "two-classes"
    two_forms = True

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        said: Any = self.config
        scores, label, raw = two_classes(x, said["single"], said["scale"], said["rule"])
        found = {"scores": scores, "label": label}
        return {**found, "raw": raw} if said["raw"] else found


class Votes(Op):
    """Scores [n, k] as they are, and the highest of them; its one part is the answer that says the same."""

    name = "forest-votes"
    two_forms = True

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        return {"scores": x, "label": votes(x)}


def fused(op: Op, numbers: int, codes: int) -> Op:
    """The model with what it begins and ends with compiled, as far as that has a compiled form.

    numbers, codes: how many columns of each a row brings.
    """
    ops = _flat(op)
    ops[-1:] = _ending(ops)
    count, steps, places = _head(ops, numbers, codes)
    if not count:
        return _chained(ops)
    before = Prepared({"width": len(places)}, {"steps": steps.words(places)}, [_chained(ops[:count])])
    return _chained([before, *ops[count:]])


def _ending(ops: Sequence[Op]) -> list[Op]:
    """The last op, with a compiled form where there is one."""
    last, before = ops[-1], ops[-2] if len(ops) > 1 else ops[-1]
    said: Any = last.config
    if not isinstance(last, Answer) or said["task"] == "regression" or not said["scores"] or said["float32"]:
        return [last]
    unanswered = bool(said.get("unanswered"))
    if isinstance(before, TreeEnsemble) and said["link"] == "identity" and said["label"] == "argmax":
        many = int(str(before.config["outputs"])) > 1
        return [Votes({}, {}, [last])] if many and not said["raw"] and not unanswered else [last]
    one = isinstance(before, MatMul) and before.get_buffer("weight").shape == (len(before.get_buffer("weight")), 1)
    if one and said["link"] == "sigmoid" and said["label"] in RULES and unanswered:
        config: dict[str, Plain] = {"single": False, "scale": float(said["link_scale"]), "rule": RULES[said["label"]]}
        return [TwoClasses({**config, "raw": said["raw"]}, {}, [last])]
    return [last]


def _flat(op: Op) -> list[Op]:
    if type(op) is not Chain:
        return [op]
    return [one for part in op.parts for one in _flat(part)]  # type: ignore[arg-type]


def _chained(ops: Sequence[Op]) -> Op:
    return ops[0] if len(ops) == 1 else Chain({}, {}, ops)


class _NoForm(Exception):  # noqa: N818 - not an error: the op stays what it is
    pass


_Made = tuple[int, Steps, list[int]]


def _head(ops: Sequence[Op], numbers: int, codes: int) -> _Made:
    """(how many of the first ops, their steps, where these leave the answer): as many as there is a form for."""
    best: _Made = 0, Steps(numbers, codes), []
    for count in range(1, len(ops)):
        steps, places = Steps(numbers, codes), list(range(numbers))
        try:
            for op in ops[:count]:
                places = _follow(op, steps, places)
        except _NoForm:
            break
        best = (count, steps, places) if places else best
    return best


def _follow(op: Op, steps: Steps, places: list[int]) -> list[int]:
    way = _FORMS.get(type(op))
    if way is None:
        raise _NoForm
    return way(op, steps, places)


def _array(op: Op, name: str, width: int) -> NDArray[np.float64]:
    return np.ascontiguousarray(np.broadcast_to(getattr(op, name).numpy().astype(np.float64), (width,)))


def _affine(op: Op, steps: Steps, places: list[int]) -> list[int]:
    ways = {"shift": "minus", "scale": "over", "factor": "times", "offset": "plus"}
    for name in op.arrays:
        places = steps.add(ways[name], steps.row(places), len(places), _array(op, name, len(places)))
    return places


def _clip(op: Op, steps: Steps, places: list[int]) -> list[int]:
    low, high = (_array(op, name, len(places)) for name in ("low", "high"))
    return steps.add("clip", steps.row(places), len(places), low, high)


def _above(op: Op, steps: Steps, places: list[int]) -> list[int]:
    threshold = np.full(len(places), float(str(op.config["threshold"])))
    return steps.add("above", steps.row(places), len(places), threshold)


def _stands(op: Op) -> NDArray[np.float64] | None:
    missing = op.config.get("missing")
    return None if missing is None else np.array([float(str(missing))])


def _fill(op: Op, steps: Steps, places: list[int]) -> list[int]:
    row, values, stands = steps.row(places), _array(op, "values", len(places)), _stands(op)
    if stands is None:
        return steps.add("fill", row, len(places), values)
    return steps.add("fill-number", row, len(places), values, stands)


def _flag(op: Op, steps: Steps, places: list[int]) -> list[int]:
    row, stands = steps.row(places), _stands(op)
    if stands is None:
        return steps.add("flag", row, len(places))
    return steps.add("flag-number", row, len(places), 0, stands)


def _single(op: Op, steps: Steps, places: list[int]) -> list[int]:
    row, stands = steps.row(places), _stands(op)
    if stands is None:
        return steps.add("single", row, len(places))
    # torch compares float32 numbers with the number as a float32.
    return steps.add("single-number", row, len(places), 0, stands.astype(np.float32).astype(np.float64))


def _lookup(op: Op, steps: Steps, places: list[int]) -> list[int]:
    table = op.get_buffer("table").numpy()
    return steps.add("code", int(str(op.config["column"])), table.shape[1], table, table.shape[0])


def _value(op: Op, steps: Steps, places: list[int]) -> list[int]:
    table, values = op.get_buffer("table").numpy(), op.get_buffer("values").numpy()
    source = places[int(str(op.config["column"]))]
    return steps.add("value", source, table.shape[1], values, table, len(values))


def _bins(op: Op, steps: Steps, places: list[int]) -> list[int]:
    edges, last = op.get_buffer("edges").numpy(), op.get_buffer("last").numpy()
    return steps.add("bins", steps.row(places), len(places), edges, last, edges.shape[1])


def _one_of(op: Op, steps: Steps, places: list[int]) -> list[int]:
    of, value = (op.get_buffer(name).numpy() for name in ("of", "value"))
    at = np.array(places, dtype=np.int64)[of]
    return steps.add("one-of", 0, len(of), at, value.astype(np.float64))


def _monomials(op: Op, steps: Steps, places: list[int]) -> list[int]:
    factors = op.get_buffer("factors").numpy()
    wide = np.array([*places, *steps.add("constant", 0, 1, np.ones(1))], dtype=np.int64)
    found = steps.add("take", 0, len(factors), wide[factors[:, 0]])
    for column in range(1, factors.shape[1]):
        found = steps.add("product", found[0], len(factors), wide[factors[:, column]])
    return found


def _chain(op: Op, steps: Steps, places: list[int]) -> list[int]:
    for part in op.parts:
        places = _follow(part, steps, places)  # type: ignore[arg-type]
    return places


def _beside(op: Op, steps: Steps, places: list[int]) -> list[int]:
    return [place for part in op.parts for place in _follow(part, steps, places)]  # type: ignore[arg-type]


_FORMS: dict[type[Op], Callable[[Op, Steps, list[int]], list[int]]] = {
    Above: _above,
    Affine: _affine,
    Beside: _beside,
    Bins: _bins,
    Chain: _chain,
    Clip: _clip,
    Fill: _fill,
    Lookup: _lookup,
    MissingFlag: _flag,
    Monomials: _monomials,
    Nothing: lambda op, steps, places: [],
    OneOf: _one_of,
    Single: _single,
    Take: lambda op, steps, places: [places[at] for at in op.get_buffer("at").tolist()],
    ValueLookup: _value,
}


def direct_of(op: Op) -> Direct | None:
    """The kernels alone, for a model that is nothing but steps, trees and an ending that is compiled."""
    ops = _flat(op)
    steps: Any = ops.pop(0).steps if isinstance(ops[0], Prepared) else None
    last = ops.pop()
    trees: Any = last.parts[0] if isinstance(last, TreeClasses) and not ops else ops[0] if len(ops) == 1 else None
    if not isinstance(trees, TreeEnsemble) or not isinstance(last, TreeClasses | Votes) or compiled() is None:
        return None
    said: Any = last.config
    two = Two(said["single"], said["scale"], said["rule"]) if isinstance(last, TreeClasses) else None
    return Direct(steps, trees.program, two)
