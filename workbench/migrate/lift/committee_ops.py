"""Ops that make one answer of several models' answers."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from workbench.migrate.lift.ops import Op, Outputs
from workbench.migrate.lift.stops import without


class Told(Op):
    """What a model (its one part) answers, as numbers [n, m].

    config: what, in this order side by side: "scores", "raw", "values" or "label". columns, where there: places of the
    scores that are kept. values, where there: what each of its labels is to the owner. A label it does not give is NaN,
    as are the scores of that row, and what any owner makes of them.
    """

    name = "told"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        answers = self.parts[0](x, codes)
        told = [self._one(answers, str(what)) for what in self.config["what"]]  # type: ignore[union-attr]
        return told[0] if len(told) == 1 else torch.cat(told, dim=1)

    def _one(self, answers: Outputs, what: str) -> Tensor:
        found = answers[what]
        if what == "label":
            known = self.get_buffer("values")[found.clamp(min=0)] if "values" in self.arrays else found
            return torch.where(found < 0, torch.nan, known.double())[:, None]
        if what == "scores" and "columns" in self.arrays:
            return found.index_select(1, self.get_buffer("columns"))
        return found[:, None] if found.dim() == 1 else found


class Spread(Op):
    """Columns to their places `at` among `width`, zeros elsewhere: classes a member never saw."""

    name = "spread"
    at: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        wide = torch.zeros((x.shape[0], int(self.config["width"])), dtype=x.dtype, device=x.device)  # type: ignore[arg-type]
        return wide.index_copy(1, self.at, x)


class Pool(Op):
    """Blocks of k columns, one for each member → their sum [n, k], added in order and divided by `divide`.

    weight [m], where there: of each member. float32: the library adds in float32.
    """

    name = "pool"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        width = int(self.config["width"])  # type: ignore[arg-type]
        x = x.float() if self.config["float32"] else x
        blocks = list(torch.split(x, width, dim=1))
        if "weight" in self.arrays:
            blocks = [block * weight for block, weight in zip(blocks, self.get_buffer("weight"))]
        total = blocks[0]
        for block in blocks[1:]:
            total = total + block
        mean: Tensor = total / float(self.config["divide"])  # type: ignore[arg-type]
        return mean.double()


class Votes(Op):
    """Labels [n, m] as numbers → votes [n, k] for each class. weight [m]: of each member. off: what a member adds to
    the classes it did not choose, times its weight; nothing where it is not there (SAMME, Zhu et al. 2009, subtracts).
    """

    name = "votes"
    weight: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        classes = torch.arange(int(self.config["classes"]), device=x.device)  # type: ignore[arg-type]
        chosen = x[:, :, None] == classes
        others = self.get_buffer("off") if "off" in self.arrays else torch.zeros_like(self.weight)
        # Added one by one, as the library does.
        votes = torch.where(chosen, self.weight[:, None], others[:, None]).cumsum(1)[:, -1]
        return torch.where(x.isnan().any(1, keepdim=True), torch.nan, votes)


class Pairs(Op):
    """Labels [n, p] then margins [n, p] of the p pairs of classes → `duels` [n, k]."""

    name = "pairs"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        half = x.shape[1] // 2
        return duels(x[:, :half], x[:, half:], int(self.config["classes"]))  # type: ignore[arg-type]


def duels(labels: Tensor, margins: Tensor, classes: int) -> Tensor:
    """Votes [n, k] of the pairs (i, j), label 0 for i and 1 for j; below one vote the sum s of margins towards a class,
    as s / (3 (|s| + 1))."""
    zero = torch.zeros_like(margins[:, 0])
    votes, sums = [zero] * classes, [zero] * classes
    for at, (i, j) in enumerate(combinations(range(classes), 2)):
        sums[i], sums[j] = sums[i] - margins[:, at], sums[j] + margins[:, at]
        votes[i], votes[j] = votes[i] + (labels[:, at] == 0), votes[j] + (labels[:, at] == 1)
    total = torch.stack(sums, dim=1)
    voted = torch.stack(votes, dim=1) + total / (3 * (total.abs() + 1))
    return torch.where(labels.isnan().any(1, keepdim=True), torch.nan, voted)


class WeightedMedian(Op):
    """Values [n, m] → of each row the smallest one that at least half of the weight [m] does not exceed (Drucker
    1997)."""

    name = "weighted-median"
    weight: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        ordered, place = x.sort(dim=1, stable=True)
        below = self.weight[place].cumsum(1)
        enough = below >= 0.5 * below[:, -1:]
        found = ordered.gather(1, enough.to(torch.int64).argmax(dim=1, keepdim=True))
        return torch.where(x.isnan().any(1, keepdim=True), torch.nan, found)


class Verdict(Op):
    """The end of a committee: [scores | decision] → named outputs.

    config: scores, how many columns are scores (0: it only decides); rule: "argmax" of the decision, or its one column
    ">" or ">=" the threshold; raw: whether the decision is told; classes, where there: the label each place stands for.
    A decision of no columns is the scores themselves.
    """

    name = "verdict"

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        count = int(self.config["scores"])  # type: ignore[arg-type]
        scores, decision = x[:, :count], x[:, count:] if x.shape[1] > count else x
        outputs: Outputs = {"scores": scores} if count else {}
        outputs["label"] = without(self._label(decision), x.isnan().any(1))
        if self.config["raw"]:
            outputs["raw"] = decision[:, 0] if decision.shape[1] == 1 else decision
        return outputs

    def _label(self, decision: Tensor) -> Tensor:
        if self.config["rule"] == "argmax":
            return decision.argmax(dim=1)
        threshold = float(self.config["threshold"])  # type: ignore[arg-type]
        above = decision[:, 0] > threshold if self.config["rule"] == ">" else decision[:, 0] >= threshold
        return self.get_buffer("places").index_select(0, above.long())


class Value(Op):
    """The end of a regression: its first column."""

    name = "value"

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        return {"values": x[:, 0]}


class Relabel(Op):
    """A model's answers, its decision taken anew: by a threshold on one score, or on the margin.

    config: column of the scores, or -1 for the margin; negative: the margin's sign is turned; threshold. places [2]:
    the class below and from the threshold on.
    """

    name = "relabel"
    places: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        answers: Outputs = dict(self.parts[0](x, codes))
        column = int(self.config["column"])  # type: ignore[arg-type]
        decided = answers["raw"] if column < 0 else answers["scores"][:, column]
        decided = -decided if self.config["negative"] else decided
        above = decided >= float(self.config["threshold"])  # type: ignore[arg-type]
        return {**answers, "label": without(self.places.index_select(0, above.long()), decided.isnan())}


class Platt(Op):
    """`1 / (1 + exp(a x + b))` of each column (Platt 1999); slope, intercept [m]."""

    name = "platt"
    slope: Tensor
    intercept: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return torch.sigmoid(-(self.slope * x + self.intercept))


class Isotonic(Op):
    """One column through a fitted isotonic regression: linear between the thresholds at [t], constant outside.

    float32: the library interpolates in float32, as SciPy's general path does; else as numpy.interp.
    """

    name = "isotonic"
    at: Tensor
    value: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        single = bool(self.config["float32"])
        at, value = (self.at.float(), self.value.float()) if single else (self.at, self.value)
        x = (x.float() if single else x).clamp(at[0], at[-1])
        if len(at) == 1:
            return (x * 0 + value[0]).double()
        low = torch.searchsorted(at, x.contiguous(), right=not single) - 1
        low = low.clamp(0, len(at) - 2)
        slope = (value[1:] - value[:-1]) / (at[1:] - at[:-1])
        found = slope[low] * (x - at[low]) + value[low]
        if not single:
            found = torch.where(x == at[-1], value[-1], torch.where(x == at[low], value[low], found))
        return found.double()


class Shares(Op):
    """Rows divided by their sums; where that is 0, uniform, or as they are. float32: the library's precision."""

    name = "shares"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        if self.config["float32"]:
            x = x.float()
        total = x[:, :1]
        for column in range(1, x.shape[1]):
            total = total + x[:, column : column + 1]
        divided = x / torch.where(total == 0, 1.0, total)
        return (torch.where(total == 0, 1.0 / x.shape[1], divided) if self.config["uniform"] else divided).double()


class TwoSided(Op):
    """One column p as [1 - p, p], or with config `signed` as [-p, p]."""

    name = "two-sided"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return torch.cat([-x if self.config.get("signed") else 1.0 - x, x], dim=1)


class Softmax(Op):
    """Softmax of the columns times `factor`; log: of their logarithms, 1e-12 added, where they are probabilities."""

    name = "softmax"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        x = torch.log(x + 1e-12) if self.config.get("log") else x
        return torch.softmax(x * float(self.config["factor"]), dim=1)  # type: ignore[arg-type]


class Capped(Op):
    """Probabilities that rounding brought just above 1 are 1."""

    name = "capped"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return torch.where((x > 1.0) & (x <= 1.0 + 1e-5), 1.0, x)


class Constant(Op):
    """The same row of numbers for every row."""

    name = "constant"
    row: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return self.row.expand(x.shape[0], -1) + 0.0


class Plus(Op):
    """The sum of its parts, added in order."""

    name = "plus"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        total: Tensor = self.parts[0](x, codes)
        for part in list(self.parts)[1:]:
            total = total + part(x, codes)
        return total
