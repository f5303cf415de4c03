"""Ops of networks for tables, as `migrate/retraining` makes them: dates and robust scaling before the network,
embeddings of numbers and members of an ensemble in it, their mean after it.

A `Network` computes in the type of its own weights; what stands before and after it is float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.migrate.lift.ops import Op

DAY = 86_400.0
FAR = 1e15
"""Scaled values beyond it are taken for it: infinity has no ratio."""


class Calendar(Op):
    """Seconds since 1970 UTC [n, m] → [n, 5m]: seconds, months (1 to 12), days (1 to 31), weekdays (Monday 0), hours
    (0 to under 24, with their fraction), m columns each. A missing date stays missing. Days to dates: Hinnant 2013.
    """

    name = "calendar"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        days = torch.floor(x / DAY)
        shifted = days + 719_468
        era = torch.floor(shifted / 146_097)
        of_era = shifted - era * 146_097
        leaps = torch.floor(of_era / 1_460) - torch.floor(of_era / 36_524) + torch.floor(of_era / 146_096)
        year = torch.floor((of_era - leaps) / 365)
        of_year = of_era - (365 * year + torch.floor(year / 4) - torch.floor(year / 100))
        march = torch.floor((5 * of_year + 2) / 153)
        day = of_year - torch.floor((153 * march + 2) / 5) + 1
        month = torch.where(march < 10, march + 3, march - 9)
        weekday = (days + 3) - 7 * torch.floor((days + 3) / 7)
        return torch.cat([x, month, day, weekday, (x - days * DAY) / 3_600], dim=1)


class SoftClip(Op):
    """`x / sqrt(1 + (x / limit)²)`: near 0 as it is, never beyond the limit (Holzmüller et al. 2024)."""

    name = "soft-clip"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        x = x.clamp(-FAR, FAR)
        share = x / float(str(self.config["limit"]))
        return x / torch.sqrt(1.0 + share * share)


class Network(Op):
    """Its parts one after the other, in the type of their weights: numbers float64 [n, m] → float64."""

    name = "network"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        x = x.to(next(self.buffers()).dtype)
        for part in self.parts:
            x = part(x, codes)
        return x.double()

    def cells(self) -> int:
        return max((part.cells() for part in self.parts if isinstance(part, Op)), default=0)


class Piecewise(Op):
    """Piecewise-linear embeddings of the first d columns (Gorishniy et al. 2022, version B of `rtdl_num_embeddings`).

    weight, bias [d, b]: of the encoding; low, high [d, b]: where each of its components ends; line, start [d, e]: of
    the line; mix [d, b, e]. [n, d + rest] → [n, d * e + rest].
    """

    name = "piecewise"
    weight: Tensor
    bias: Tensor
    low: Tensor
    high: Tensor
    line: Tensor
    start: Tensor
    mix: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        count = self.weight.shape[0]
        number = x[:, :count, None]
        encoded = torch.minimum(torch.maximum(self.bias + self.weight * number, self.low), self.high)
        embedded = self.start + self.line * number + torch.einsum("ndb,dbe->nde", encoded, self.mix)
        return torch.cat([embedded.flatten(1), x[:, count:]], dim=1)

    def cells(self) -> int:
        return self.mix.numel() // self.mix.shape[1] + self.weight.numel()


class Periodic(Op):
    """Periodic embeddings of the first d columns: `cos(2π frequency x + phase)` [d, f], a linear layer mix [d, f, e]
    and bias [d, e]. config: relu (after it), dense (the number itself beside it: PBLD of Holzmüller et al. 2024)."""

    name = "periodic"
    frequency: Tensor
    phase: Tensor
    mix: Tensor
    bias: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        count = self.frequency.shape[0]
        number = x[:, :count, None]
        wave = torch.cos(2 * torch.pi * self.frequency * number + self.phase)
        embedded = torch.einsum("ndf,dfe->nde", wave, self.mix) + self.bias
        if self.config["relu"]:
            embedded = torch.relu(embedded)
        if self.config["dense"]:
            embedded = torch.cat([number, embedded], dim=2)
        return torch.cat([embedded.flatten(1), x[:, count:]], dim=1)

    def cells(self) -> int:
        return self.frequency.numel() + self.bias.numel()


class Members(Op):
    """A linear layer that k members share, each with scales of its own (BatchEnsemble, Wen et al. 2020): weight
    [in, out], before [k, in], after [k, out], bias [k, out]; [n, in] or [n, k, in] → [n, k, out]."""

    name = "members"
    weight: Tensor
    before: Tensor
    after: Tensor
    bias: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        x = x.unsqueeze(1) if x.dim() == 2 else x
        return (x * self.before) @ self.weight * self.after + self.bias

    def cells(self) -> int:
        return max(self.before.numel(), self.after.numel()) // 4


class Heads(Op):
    """A linear layer for each member: weight [k, in, out], bias [k, out]; [n, k, in] → [n, k, out]."""

    name = "heads"
    weight: Tensor
    bias: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        return (x.transpose(0, 1) @ self.weight).transpose(0, 1) + self.bias


class MeanAnswer(Op):
    """The mean over members of what each answers: [n, k, o] or [n, o] → chances of the classes [n, o], or values.

    config: link: "sigmoid" (o = 1), "softmax" or "identity".
    """

    name = "mean-answer"

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        x = x.unsqueeze(1) if x.dim() == 2 else x
        link = self.config["link"]
        if link == "sigmoid":
            x = 1.0 / (torch.exp(-x) + 1.0)
        elif link == "softmax":
            x = torch.softmax(x, dim=2)
        return x.mean(dim=1)


def fewer_members(network: Network, k: int) -> Network:
    """The same network with its first k members. Raises ValueError where it has fewer, or none."""
    have = {part.bias.shape[0] for part in network.parts if isinstance(part, Members | Heads)}
    if not have or k < 1 or k > min(have):
        raise ValueError(f"{k} members are asked of a network with {min(have, default=0)}: give from 1 to that many")
    return Network(network.config, {}, [_fewer(part, k) for part in network.parts])  # type: ignore[arg-type]


def _fewer(part: Op, k: int) -> Op:
    if not isinstance(part, Members | Heads):
        return part
    shared = "weight" if isinstance(part, Members) else ""
    arrays = {name: getattr(part, name).numpy() for name in part.arrays}
    return type(part)(part.config, {name: array if name == shared else array[:k] for name, array in arrays.items()})
