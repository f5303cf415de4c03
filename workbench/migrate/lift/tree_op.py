"""A tree ensemble in plain torch operations, exact to the source's comparisons.

First every feature value becomes a *symbol*: the interval between two thresholds it lies in, its category, or one of
the special cases (NaN, zero where zero is missing, unknown category). Symbols carry everything any node asks, so what
follows has no special cases. Then one of two ways to the leaves:
- `Masks` (trees of at most 64 leaves; QuickScorer, Lucchese et al. 2015): each symbol rules out a set of leaves of
  each tree; the sets are and-ed over the features, and the lowest leaf that is left is the answer.
- `Walk`: level by level, children side by side, a node packed into one integer.
Values are added tree by tree in the model's own order (cumulative sum), which gives the library's own bits.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from workbench.migrate.lift.ops import Chain, Op, Outputs
from workbench.models.protocol import Plain
from workbench.models.tree_kernel.op import tree_classes, tree_ensemble
from workbench.models.tree_kernel.program import HEADER

TINY = 1.0000000180025095e-35
"""float32(1e-35), what LightGBM takes for zero."""


class Symbols(Op):
    """Features [n, F] → symbols int64 [C, n], one row per column of the ensemble (a feature read in one way).

    of [C]: the column's feature. edges [C, e]: sorted thresholds padded with +inf. last [C]: number of thresholds,
    or of categories. absent [C]: symbol of NaN. zero [C]: symbol of a missing zero, -1 where zero is a number.
    coded [C]: the value is a category code, and `last` the symbol of one out of range.
    """

    name = "tree-symbols"
    of: Tensor
    edges: Tensor
    last: Tensor
    absent: Tensor
    zero: Tensor
    coded: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        if self.config["float32"]:
            x = x.float().double()
        x = x.t().index_select(0, self.of).contiguous()
        symbol = torch.searchsorted(self.edges, x, right=bool(self.config["right"]))
        symbol = torch.minimum(symbol, self.last)
        if self.config["coded"]:
            inside = (x >= 0) & (x < self.last)
            code = torch.where(inside, x, 0.0).long()
            symbol = torch.where(self.coded, torch.where(inside, code, self.last), symbol)
        if self.config["zero"]:
            symbol = torch.where((self.zero >= 0) & (x.abs() <= TINY), self.zero, symbol)
        return torch.where(x.isnan(), self.absent, symbol) if self.config["absent"] else symbol


class Masks(Op):
    """Symbols [C, n] → leaf positions [n, T] (row numbers of `Leaves.value`).

    table_c [symbols, T], one for each column: bit j is set while leaf j of the tree is still possible; 32 or 64 bits
    wide, as the largest tree needs. first [T]: position of each tree's first leaf, less the bias of the exponent.
    """

    name = "tree-masks"
    first: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        possible = self.get_buffer("table_0").index_select(0, x[0])
        for column in range(1, len(self.arrays) - 1):
            possible = possible & self.get_buffer(f"table_{column}").index_select(0, x[column])
        lowest = possible & -possible
        # The exponent of a power of two is its bit number; the mask drops the sign that the highest bit brings.
        if lowest.dtype == torch.int32:
            return ((lowest.float().view(torch.int32) >> 23) & 0xFF) + self.first
        return ((lowest.double().view(torch.int64) >> 52) & 0x7FF) + self.first


class Walk(Op):
    """Symbols [C, n] → leaf positions [n, T], level by level.

    Each of the R tests of the ensemble reads a row of ordered numbers: `order_c` [symbols, r] turns column c's symbols
    into them. node [N]: test, limit and left child in one integer; the right child is the next node; the row goes
    right where its number is above the limit. A leaf is its own left child.
    """

    name = "tree-walk"
    node: Tensor
    root: Tensor
    leaf: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        columns = range(len(self.arrays) - 3)
        tests = [self.get_buffer(f"order_{c}").index_select(0, x[c]).t() for c in columns]
        ordered = torch.cat(tests, dim=0)
        at = self.root[:, None].expand(-1, x.shape[1])
        test_bits, limit_bits = int(self.config["test_bits"]), int(self.config["limit_bits"])  # type: ignore[arg-type]
        for _ in range(int(self.config["depth"])):  # type: ignore[arg-type]
            packed = self.node.index_select(0, at.reshape(-1)).view(at.shape)
            test = (packed >> limit_bits) & ((1 << test_bits) - 1)
            right = ordered.gather(0, test) > (packed & ((1 << limit_bits) - 1))
            at = (packed >> (limit_bits + test_bits)) + right
        return self.leaf.index_select(0, at.reshape(-1)).view(at.shape).t()


class Leaves(Op):
    """Leaf positions [n, T] → raw sums [n, K], added in tree order.

    value [P, L]: leaf values with weights and base in. L = 1: trees lie output by output, T/K each (padded by an
    empty tree). divide: trees per output of a forest, else 1. float32: every partial sum is rounded to float32.
    """

    name = "tree-leaves"
    value: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        n, outputs = x.shape[0], int(self.config["outputs"])  # type: ignore[arg-type]
        each, flat = x.shape[1], x.reshape(-1)
        if self.value.shape[1] > 1:
            found = [self.value[:, k].index_select(0, flat).view(n, each) for k in range(outputs)]
            total = torch.stack([one.cumsum(1)[:, -1] for one in found], dim=1)
        elif self.config["float32"]:
            total = self._single(self.value[:, 0].index_select(0, flat), n * outputs, each // outputs).view(n, outputs)
        else:
            total = self.value[:, 0].index_select(0, flat).view(n, outputs, each // outputs).cumsum(2)[:, :, -1]
        divide = float(self.config["divide"])  # type: ignore[arg-type]
        return total if divide == 1 else total / divide

    @staticmethod
    def _single(found: Tensor, sums: int, each: int) -> Tensor:
        """Sums rounded to float32 after each tree, as XGBoost does: index_add_ adds one by one, in order."""
        place = torch.arange(sums, device=found.device)[:, None].expand(-1, each)
        total = torch.zeros(sums, dtype=torch.float32, device=found.device)
        return total.index_add(0, place.reshape(-1), found.float()).double()


class TreeEnsemble(Op):
    """Numbers [n, F] → raw sums [n, K], by the compiled kernel; its one part is the same in plain torch operators.

    program: see `models.tree_kernel.program`.
    """

    name = "tree-ensemble"
    two_forms = True
    program: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return tree_ensemble(x, codes, self.program, int(self.config["outputs"]))  # type: ignore[arg-type]

    @property
    def single(self) -> bool:
        """Sums are rounded to float32."""
        return bool(self.program[HEADER["single"]])


class TreeClasses(Op):
    """Numbers [n, F] → scores [n, 2], label and raw of a binary model, in one call; its parts are the ensemble and the
    answer that say the same one after the other.

    config: single, scale, rule as `models.tree_kernel.op.tree_classes` takes them.
    """

    name = "tree-classes"
    two_forms = True

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        said: Any = self.config
        program: Any = self.parts[0].program
        scores, label, raw = tree_classes(x, codes, program, said["single"], said["scale"], said["rule"])
        return {"scores": scores, "label": label, "raw": raw}


RULES = {"raw>0": 0, "raw>=0": 1, "argmax": 2}


def two_classes(trees: Op, answer: Op) -> Op | None:
    """Both as one op; None where there is more to answer than two classes by a sigmoid."""
    said: Any = answer.config
    fits = said["task"] != "regression" and said["link"] == "sigmoid" and said["label"] in RULES
    if not (isinstance(trees, TreeEnsemble) and trees.config["outputs"] == 1 and fits):
        return None
    if not (said["scores"] and said["raw"]) or said.get("unanswered") or (said["float32"] and not trees.single):
        return None
    config: dict[str, Plain] = {
        "single": bool(said["float32"]),
        "scale": float(said["link_scale"]),
        "rule": RULES[said["label"]],
    }
    return TreeClasses(config, {}, [trees, answer])


def one_form(op: Op, portable: bool) -> Op:
    """The op with one form of each part that has two: torch's own operators (portable), or the kernels' words alone."""
    if two_forms(op) and portable:
        parts = [one_form(part, portable) for part in op.parts]  # type: ignore[arg-type]
        return parts[0] if len(parts) == 1 else Chain({}, {}, parts)
    own: Any = [] if two_forms(op) and not isinstance(op, TreeClasses) else op.parts
    twin = copy(op)
    twin._modules = {"parts": nn.ModuleList([one_form(part, portable) for part in own])}
    return twin


def two_forms(op: nn.Module) -> bool:
    """Whether it is a compiled form, and its parts the same in torch's own operators."""
    return bool(getattr(op, "two_forms", False))


def has_two_forms(op: Op) -> bool:
    return any(two_forms(part) for part in op.modules())
