"""The JupyterLab extension's generated types are what the server and the schema of evidence say now."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

EXTENSION = Path(__file__).parents[1] / "extension"
NAME = "migration-workbench"
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


@pytest.mark.slow
def test_wheel_sdist_and_a_checkout_set_up_again_hold_the_built_extension_once(tmp_path: Path) -> None:
    """As `make setup` finds it after `make extension`: built, linked, with what the last installation wrote there."""
    if not STATIC.exists():
        pytest.skip("the extension is not built here: make extension")
    here, copy, out = EXTENSION.parent, tmp_path / "checkout", tmp_path / "dist"
    left_out = shutil.ignore_patterns(
        "node_modules", "lib", "__pycache__", ".venv", ".git", "demo", "results", ".cache"
    )
    shutil.copytree(here, copy, ignore=left_out)
    shutil.copy(EXTENSION / "install.json", copy / "workbench" / "labextension")
    build = "import sys, hatchling.build as b; b.build_wheel(sys.argv[1]); b.build_sdist(sys.argv[1]); "
    build += "b.build_editable(sys.argv[1] + '/first'); b.build_editable(sys.argv[1] + '/again')"
    made = subprocess.run([sys.executable, "-c", build, str(out)], cwd=copy, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    built = {str(path.relative_to(STATIC.parent)) for path in STATIC.parent.rglob("*") if path.is_file()}
    place, config = "share/jupyter/labextensions/migration-workbench/", "etc/jupyter/jupyter_server_config.d/"
    for wheel in (next(out.glob("*.whl")), *out.glob("*/*.whl")):
        names = zipfile.ZipFile(wheel).namelist()
        data = [name.partition(".data/data/")[2] for name in names if ".data/data/" in name]
        assert sorted(data) == sorted({place + name for name in built | {"install.json"}} | {f"{config}{NAME}.json"})
        assert not [name for name in names if name.startswith("workbench/labextension")]
    with tarfile.open(next(out.glob("*.tar.gz"))) as sdist:
        packed = sdist.getnames()
    assert not built - {name.partition("/workbench/labextension/")[2] for name in packed}
