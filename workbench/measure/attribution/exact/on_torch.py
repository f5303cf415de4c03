"""The same look-up in torch operations, for an accelerator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from workbench.measure.attribution.exact.groups import Groups
    from workbench.measure.attribution.exact.splits import Floats, Splits, Symbols
    from workbench.measure.attribution.exact.tables import Tables

CELLS = 2**26
"""Numbers gathered in one turn: 512 MiB in float64."""


class TorchLookup:
    """Tables on a torch device. A group's splits are padded to the same number by splits that no row passes."""

    def __init__(self, splits: Splits, groups: Groups, found: Tables, device: str) -> None:
        import torch

        sizes = groups.sizes
        # Bit b of group g is the group's b-th split; bits past its last one ask nothing.
        bit = groups.first_bit[:-1, None] + np.arange(int(sizes.max(initial=1)))
        asked = bit < groups.first_bit[1:, None]
        node = groups.bits[np.where(asked, bit, 0)] if len(groups.bits) else np.zeros(bit.shape, np.int64)
        width = np.diff(found.places_first)
        owner = np.repeat(np.arange(len(sizes)), width)

        def sent(array: Any) -> Any:
            return torch.as_tensor(np.ascontiguousarray(array), device=device)

        self._column = sent(np.where(asked, np.maximum(splits.column[node], 0), 0))
        self._limit = sent(np.where(asked, splits.limit[node], -1))
        self._ways = sent(np.where(asked, splits.ways[node], -1))
        self._left = sent(np.append(splits.left, 0).astype(bool))
        self._coded = bool((splits.ways >= 0).any())
        self._power = sent(1 << np.arange(bit.shape[1]))
        self._lines, self._places = sent(found.lines), sent(found.places)
        self._owner = sent(owner)
        column = np.arange(len(owner)) - found.places_first[owner]
        self._start = sent(found.first[owner] + column * (1 << sizes[owner]))
        self._device = device

    def add(self, symbols: Symbols, out: Floats) -> None:
        """Add to each row of out [n, P] the line of every group's pattern. symbols: [C, n]."""
        import torch

        step = max(1, CELLS // max(1, len(self._places), self._column.numel()))
        for low in range(0, len(out), step):
            part = torch.as_tensor(symbols[:, low : low + step].astype(np.int64), device=self._device)
            total = torch.zeros(part.shape[1], out.shape[1], dtype=torch.float64, device=self._device)
            lines = self._lines[self._start + self._patterns(part)[:, self._owner]]
            out[low : low + step] += total.index_add_(1, self._places, lines).cpu().numpy()

    def _patterns(self, symbols: Any) -> Any:
        """[n, G]: the splits each row passes, as bits."""
        symbol = symbols[self._column]
        passed = symbol <= self._limit[..., None]
        if self._coded:
            at = self._ways[..., None]
            passed |= (at >= 0) & self._left[(at.clamp(min=0) + symbol) * (at >= 0)]
        return (passed * self._power[None, :, None]).sum(dim=1).t()
