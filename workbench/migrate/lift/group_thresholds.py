"""A threshold of its own for each group, as the last op of a binary model whose scores stay between 0 and 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.migrate.lift.ops import Op, Outputs


class GroupThresholds(Op):
    """Scores moved so that one threshold decides as each group's own would.

    config: threshold (that of the task); positive (place of the class); numbers, codes (how many of either the model
    inside reads: the protected attribute is the column after them); banded (it is a number, cut at `edges`).
    thresholds: [V + 3] by category code + 3, or [bands + 1], the last for a number that is missing.
    A score at its group's threshold becomes the task's, 0 stays 0 and 1 stays 1, straight lines between. A score below
    its own threshold stays below the task's, to the last bit.
    """

    name = "group-thresholds"
    thresholds: Tensor
    edges: Tensor

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        a, b = int(self.config["numbers"]), int(self.config["codes"])  # type: ignore[arg-type]
        found: Outputs = self.parts[0](x[:, :a], codes[:, :b])
        place, task = int(self.config["positive"]), float(self.config["threshold"])  # type: ignore[arg-type]
        score = found["scores"][:, place].double()
        own = self.thresholds[self._group(x[:, a:], codes[:, b:])]
        up = task + (score - own) * ((1 - task) / (1 - own).clamp(min=1e-12))
        down = task - (own - score) * (task / own.clamp(min=1e-12))
        below = math.nextafter(task, -1.0)
        moved = torch.where(score >= own, up.clamp(min=task, max=1.0), down.clamp(min=0.0).clamp(max=below))
        moved = torch.where(score.isnan(), score, moved)
        scores = torch.stack([1 - moved, moved] if place == 1 else [moved, 1 - moved], dim=1)
        return {"scores": scores, "label": scores.argmax(dim=1)}

    def _group(self, numbers: Tensor, codes: Tensor) -> Tensor:
        if not self.config["banded"]:
            return codes[:, 0] + 3
        column = numbers[:, 0].contiguous()
        return torch.where(column.isnan(), len(self.thresholds) - 1, torch.searchsorted(self.edges, column, right=True))
