"""Several processes on one training: what torchrun started, and nothing else where it did not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from workbench.models import ModelError


@dataclass(frozen=True)
class Ranks:
    """This process's number among `count` of them."""

    rank: int = 0
    count: int = 1

    @classmethod
    def here(cls) -> Ranks:
        """As torch.distributed was set up in this process; one of one where it was not."""
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return cls()

    @property
    def first(self) -> bool:
        return self.rank == 0

    def place(self, device: str = "") -> torch.device:
        """Where to train. Raises ModelError for a device that is not there."""
        if not device:
            if not torch.cuda.is_available():
                return torch.device("cpu")
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        try:
            found = torch.device(device)
            torch.zeros(1, device=found)
        except (RuntimeError, AssertionError) as error:
            raise ModelError(f"there is no device {device!r} here ({str(error).splitlines()[0]}): give cpu") from error
        return found

    def share(self, net: nn.Module) -> nn.Module:
        """The network with gradients averaged over the processes."""
        return DistributedDataParallel(net) if self.count > 1 else net

    def part(self, rows: Tensor) -> Tensor:
        """This process's rows of a batch."""
        return rows[self.rank :: self.count]

    def sum(self, value: Tensor) -> Tensor:
        if self.count > 1:
            distributed.all_reduce(value)
        return value

    def told(self, figures: Sequence[float]) -> list[float]:
        """The first process's figures, so that all of them end together."""
        if self.count == 1:
            return list(figures)
        said: list[Any] = [list(figures)]
        distributed.broadcast_object_list(said, src=0)
        return list(said[0])

    def wait(self) -> None:
        if self.count > 1:
            distributed.barrier()
