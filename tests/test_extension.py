"""The JupyterLab extension's generated types are what the server and the schema of evidence say now."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

EXTENSION = Path(__file__).parents[1] / "extension"
STATIC = EXTENSION.parent / "workbench" / "labextension" / "static"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", EXTENSION / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_types_are_current() -> None:
    stale = [path.name for path, text in generator().texts().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "make schemas remakes them"


def test_types_are_written_as_typescript_reads_them() -> None:
    kinds = generator()
    assert kinds._type({"type": ["string", "null"]}, "") == "string | null"
    assert kinds._type({"type": "array", "items": {"enum": ["a", "b"]}}, "") == "('a' | 'b')[]"
    assert (
        kinds._type({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, "")
        == "[number, string]"
    )
    assert kinds._type({"type": "object", "additionalProperties": {"type": "boolean"}}, "") == "Record<string, boolean>"
    object_ = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "b": {"$ref": "#/x/Run"}}}
    assert kinds._type(object_, "") == "{\n  a: string;\n  b?: Run;\n}"


def test_nothing_of_a_registry_in_the_lock() -> None:
    lock = json.loads((EXTENSION / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


def test_the_bundle_is_small() -> None:
    """Without plotly, which JupyterLab's own renderer loads when a chart is shown."""
    if not STATIC.exists():
        pytest.skip("the extension is not built here: make extension")
    assert sum(path.stat().st_size for path in STATIC.glob("*.js")) <= 300_000
