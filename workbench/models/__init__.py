"""The one door to models: a protocol, one reader per format, the model host, the tree IR."""

from workbench.models.protocol import Input, Label, Model, ModelError, Outputs, Piece, Refused

__all__ = ["Input", "Label", "Model", "ModelError", "Outputs", "Piece", "Refused"]
