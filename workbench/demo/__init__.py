"""The sample migration: a made-up lending portfolio, its legacy model, and the faults planted in it, kept as data.

Nothing in it is about real people. The clean twin is the same portfolio without one of the planted faults, so that
an audit can be seen to find what is there and to say nothing where there is nothing.
"""

from workbench.demo.making import FILES, MODEL, make_demo, read_truths
from workbench.demo.portfolio import FEATURES, KEY, PERSONAL, PROTECTED, ROWS, TARGET, Truth, Truths

__all__ = [
    "FEATURES",
    "FILES",
    "KEY",
    "MODEL",
    "PERSONAL",
    "PROTECTED",
    "ROWS",
    "TARGET",
    "Truth",
    "Truths",
    "make_demo",
    "read_truths",
]
