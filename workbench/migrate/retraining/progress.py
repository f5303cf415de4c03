"""How far a training is: a bar that moves in a notebook or a terminal, and one line that stays in what is saved."""

from __future__ import annotations

import html
import sys
import time
from typing import Any

from workbench.migrate.retraining.checkpoint import Epoch

OFTEN = 0.5
"""Seconds between two looks of the bar, at least."""
METRICS = {"binary": "AUC", "multiclass": "accuracy", "regression": "R²"}
CHECKS = {"binary": "log-loss", "multiclass": "log-loss", "regression": "RMSE in standard deviations"}


class Progress:
    """Call it with every epoch. It draws where somebody may look: in a notebook's cell, or in a terminal."""

    def __init__(self, epochs: int, task: str) -> None:
        self.epochs, self.task = epochs, task
        self._drawn = 0.0
        self._place = _cell()

    def __call__(self, epoch: Epoch) -> None:
        now = time.monotonic()
        if now - self._drawn >= OFTEN or epoch.epoch == self.epochs:
            self._drawn = now
            self._draw(epoch, self.said(epoch))

    def say(self, text: str) -> None:
        """A line that stays above the bar."""
        print(text, flush=True)

    def end(self, best: Epoch) -> None:
        self._draw(best, f"best of its epochs: {self.said(best)}")
        if self._place is None and sys.stderr.isatty():
            print(file=sys.stderr)

    def said(self, epoch: Epoch) -> str:
        """Loss, metric and the time left, in a line."""
        return (
            f"epoch {epoch.epoch} of at most {self.epochs}, loss {epoch.loss:.4f}, {CHECKS[self.task]} "
            f"{epoch.check:.4f} and {METRICS[self.task]} {epoch.metric:.4f} on held-back rows, "
            f"at most {_clock(epoch.left)} left"
        )

    def _draw(self, epoch: Epoch, text: str) -> None:
        if self._place is not None:
            bar = f'<progress max="{self.epochs}" value="{epoch.epoch}" aria-label="training"></progress>'
            self._place.update({"text/html": f"{bar} {html.escape(text)}", "text/plain": text}, raw=True)
        elif sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _cell() -> Any:
    """A part of the running cell's output that can be drawn again; None outside a notebook."""
    screen = sys.modules.get("IPython")
    shell = screen.get_ipython() if screen else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return display({"text/plain": "training begins"}, raw=True, display_id=True)  # type: ignore[no-untyped-call]
