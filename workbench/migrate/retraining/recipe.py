"""A recipe: every choice of one training, as plain values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

Family = Literal["tabm", "mlp", "realmlp"]
Embeddings = Literal["piecewise", "periodic", "none"]
Precision = Literal["float32", "bf16", "fp16"]
FAMILIES: tuple[Family, ...] = ("tabm", "mlp", "realmlp")


@dataclass(frozen=True)
class Recipe:
    """How a network is made and trained.

    family: TabM (Gorishniy, Kotelnikov, Babenko 2025), a multi-layer perceptron, or one like RealMLP (Holzmüller,
    Grinsztajn, Steinwart 2024; `networks.like_realmlp` says what differs). embeddings: of numbers, piecewise-linear or
    periodic (Gorishniy, Rubachev, Babenko 2022); embedding_width: of each; bins: of the piecewise-linear ones, at most.
    members: k of TabM. distill: weight of the legacy model's scores in the loss, the labels have the rest. ema: decay
    of the averaged weights that are kept, 0 for none. clip: largest norm of a gradient. smoothing: of the labels.
    patience: epochs without a better check after which training ends.
    Raises ValueError for a value out of its range.
    """

    family: Family = "tabm"
    width: int = 128
    depth: int = 2
    dropout: float = 0.1
    learning_rate: float = 2e-3
    weight_decay: float = 3e-4
    batch_size: int = 256
    epochs: int = 24
    patience: int = 6
    embeddings: Embeddings = "piecewise"
    embedding_width: int = 12
    bins: int = 32
    members: int = 16
    distill: float = 0.5
    ema: float = 0.99
    precision: Precision = "float32"
    seed: int = 0
    clip: float = 1.0
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a whole number from 1 on")
        for name in ("dropout", "ema", "smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a share from 0 to below 1")
        if not 0 <= self.distill <= 1:
            raise ValueError(f"distill is {self.distill}: give the share of the legacy model's scores, 0 to 1")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number above 0")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay is {self.weight_decay}: give 0 or more")
        for name, known in _WORDS.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}: there is {', '.join(known)}")

    @property
    def key(self) -> str:
        """sha256 of all choices."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def recipe_of(family: Family, **chosen: Any) -> Recipe:
    """The recipe that a family starts from, with what is chosen otherwise. Raises ValueError, TypeError."""
    return Recipe(**{**_STARTS[family], "family": family, **chosen})


_STARTS: dict[Family, dict[str, Any]] = {
    "tabm": {},
    "mlp": {"width": 256, "depth": 3, "learning_rate": 1e-3},
    # Its rate belongs to the neural-tangent parametrisation; its schedule has dips that patience must outlast.
    "realmlp": {
        "width": 256,
        "depth": 3,
        "dropout": 0.15,
        "learning_rate": 0.04,
        "weight_decay": 0.0,
        "epochs": 64,
        "patience": 32,
        "embeddings": "periodic",
        "smoothing": 0.1,
    },
}
_COUNTS = ("width", "depth", "batch_size", "epochs", "patience", "embedding_width", "bins", "members")
_WORDS = {
    "family": FAMILIES,
    "embeddings": ("piecewise", "periodic", "none"),
    "precision": ("float32", "bf16", "fp16"),
}
