"""What the readers of XGBoost and LightGBM files hand on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.models.protocol import Input, Kind, Label, Piece, Plain
from workbench.models.trees import Trees

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.models.linear_booster import LinearBooster
    from workbench.models.linear_leaves import LinearLeaves


@dataclass(frozen=True)
class Booster:
    """A boosted ensemble as read from its file.

    library: "xgboost" or "lightgbm"; version: of the library that wrote it, "" where the file does not say.
    categories: for a feature whose values are coded by their place in a list, that list. linear: the linear models in
    the leaves, or in the place of trees, which `trees` does not hold; without them it would answer wrongly.
    """

    library: str
    version: str
    objective: str
    task: Kind
    classes: tuple[Label, ...]
    trees: Trees
    categories: dict[str, tuple[Label, ...]] = field(default_factory=dict)
    params: dict[str, Plain] = field(default_factory=dict)
    linear: LinearLeaves | LinearBooster | None = None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The raw columns it asks for: a coded feature with its values, all others numbers."""
        return tuple(
            Input(name, "category", self.categories[name]) if name in self.categories else Input(name, "number")
            for name in self.trees.features
        )

    def raw(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw sums [n, K] of rows X [n, F], as the library adds them: XGBoost in float32."""
        from workbench.models.tree_walk import raw

        if self.linear is not None:
            return self.linear.raw(self.trees, X)
        return raw(self.trees, X, float32=self.library == "xgboost")

    def piece(self) -> Piece:
        """`<library>.Booster` with its trees; `params["categories"]` lists the values of coded features in order."""
        params: dict[str, Plain] = {"objective": self.objective, **self.params}
        params["categories"] = {name: list(values) for name, values in self.categories.items()}
        trees = self.trees if self.linear is None else None
        return Piece(f"{self.library}.Booster", self.version, params, children=self.linear_parts(), trees=trees)

    def linear_parts(self) -> tuple[tuple[str, Piece], ...]:
        """The linear models in its leaves, with the trees that lead there, or in the place of trees; () without."""
        if self.linear is None:
            return ()
        params: dict[str, Plain] = {"link": self.trees.link, "link_scale": self.trees.link_scale}
        return (("linear", self.linear.piece(self.trees, params)),)
