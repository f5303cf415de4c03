"""The one door to models: a protocol, one reader per format, the model host, the tree IR."""

from typing import TYPE_CHECKING, Any

from workbench.models.protocol import Input, Label, Model, ModelError, Outputs, Piece, Refused

if TYPE_CHECKING:
    from workbench.models.door import open_model

__all__ = ["Input", "Label", "Model", "ModelError", "Outputs", "Piece", "Refused", "open_model"]


def __getattr__(name: str) -> Any:
    if name == "open_model":
        from workbench.models.door import open_model

        return open_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
