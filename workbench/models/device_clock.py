"""What a GPU takes for an answer by its own clock: CUDA events before and after, in the stream the work is queued in.

To stop the clock is to wait for the GPU, so that wall time read after it does not end where kernels were only launched.
"""

from __future__ import annotations

import sys
from typing import Any


class DeviceClock:
    """cuda: `torch.cuda`."""

    def __init__(self, cuda: Any) -> None:
        self._first, self._last = (cuda.Event(enable_timing=True) for _ in range(2))

    def start(self) -> None:
        self._first.record()

    def stop(self) -> int:
        """ns of the device since `start`, all that was queued included."""
        self._last.record()
        self._last.synchronize()
        milliseconds: float = self._first.elapsed_time(self._last)
        return round(1e6 * milliseconds)


def device_clock() -> DeviceClock | None:
    """None where torch has not computed on a GPU in this process: nothing is started to look."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return DeviceClock(torch.cuda)
