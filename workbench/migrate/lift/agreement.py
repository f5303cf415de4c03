"""Do the two forms of a saved model, torch's own operators and the compiled one, give the same bits?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from workbench.migrate.lift.fuse import Prepared
from workbench.migrate.lift.ops import Op
from workbench.migrate.lift.tree_op import TreeEnsemble
from workbench.models.protocol import ModelError
from workbench.models.torch_file import Card
from workbench.models.tree_kernel.program import thresholds
from workbench.models.tree_kernel.steps import constants

PROBES = 512
SPECIAL = [np.nan, 0.0, -0.0, 1.0, -1.0, 1e-36, np.inf, -np.inf, 1.6e9]


def agree(one: torch.export.ExportedProgram, other: torch.export.ExportedProgram, op: Op, card: Card) -> None:
    """Raises ModelError naming the output in which they differ."""
    rows = probes(op, card)
    with torch.inference_mode():
        first: Mapping[str, Tensor] = one.module()(*rows)
        second: Mapping[str, Tensor] = other.module()(*rows)
    for name, expected in first.items():
        if not torch.equal(torch.nan_to_num(expected, nan=-7.0), torch.nan_to_num(second[name], nan=-7.0)):
            raise ModelError(
                f"the compiled form of the lifted model differs from its portable form in {name!r}: this is a fault of "
                "the workbench, please report it; nothing was saved"
            )


def probes(op: Op, card: Card) -> tuple[Tensor, Tensor]:
    """Numbers and codes of PROBES rows: thresholds of the trees, constants of the steps before them and the neighbours
    of both, special values, any category."""
    rng = np.random.default_rng(0)
    edges = [thresholds(part.program.numpy()) for part in op.modules() if isinstance(part, TreeEnsemble)]
    edges += [constants(part.steps.numpy()) for part in op.modules() if isinstance(part, Prepared)]
    limits = np.concatenate([*edges, rng.normal(size=64)])
    near = np.concatenate([limits, np.nextafter(limits, np.inf), np.nextafter(limits, -np.inf), rng.normal(size=64)])
    columns = card.edge.columns
    shape = PROBES, sum(column.read == "number" for column in columns)
    numbers = np.where(rng.random(shape) < 0.1, rng.choice(SPECIAL, shape), rng.choice(near, shape))
    codes = [rng.integers(-3, len(c.values), PROBES) for c in columns if c.read == "category"]
    coded = np.stack(codes, axis=1) if codes else np.empty((PROBES, 0), dtype=np.int64)
    return torch.from_numpy(numbers), torch.from_numpy(coded)
