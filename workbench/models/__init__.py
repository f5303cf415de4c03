"""The one door to models: a protocol, one reader per format, the model host, the tree IR."""

from typing import TYPE_CHECKING, Any

from workbench.models.protocol import Input, Label, Model, ModelError, Outputs, Piece, Refused, normal

if TYPE_CHECKING:
    from workbench.models.door import in_host, open_model

__all__ = ["Input", "Label", "Model", "ModelError", "Outputs", "Piece", "Refused", "in_host", "normal", "open_model"]


def __getattr__(name: str) -> Any:
    if name in ("in_host", "open_model"):
        from workbench.models import door

        return getattr(door, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
