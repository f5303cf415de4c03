"""What the readers of XGBoost and LightGBM files hand on."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.models.protocol import Input, Kind, Label, Piece, Plain
from workbench.models.trees import Trees


@dataclass(frozen=True)
class Booster:
    """A boosted ensemble as read from its file.

    library: "xgboost" or "lightgbm"; version: of the library that wrote it, "" where the file does not say.
    categories: for a feature whose values are coded by their place in a list, that list. decides: the model answers
    classes without scores.
    """

    library: str
    version: str
    objective: str
    task: Kind
    classes: tuple[Label, ...]
    trees: Trees
    categories: dict[str, tuple[Label, ...]] = field(default_factory=dict)
    params: dict[str, Plain] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The raw columns it asks for: a coded feature with its values, all others numbers."""
        return tuple(
            Input(name, "category", self.categories[name]) if name in self.categories else Input(name, "number")
            for name in self.trees.features
        )

    def piece(self) -> Piece:
        """`<library>.Booster` with its trees; `params["categories"]` lists the values of coded features in order."""
        params: dict[str, Plain] = {"objective": self.objective, **self.params}
        params["categories"] = {name: list(values) for name, values in self.categories.items()}
        return Piece(f"{self.library}.Booster", self.version, params, trees=self.trees)
