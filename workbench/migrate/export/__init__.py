"""A lifted model as an ONNX file of standard operators, written only where onnxruntime gives torch's own answers."""

from workbench.migrate.export.document import Exported, to_onnx

__all__ = ["Exported", "to_onnx"]
