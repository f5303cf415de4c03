"""A model saved by MLflow: a folder whose file `MLmodel` says by which library, and which file in it is the model."""

from __future__ import annotations

import re
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from workbench.models.protocol import ModelError, Refused

FILES = {"sklearn": "pickled_model", "xgboost": "data", "lightgbm": "data", "catboost": "data", "onnx": "data"}
"""The flavors that have a reader here, and under which name each keeps its file."""
LARGEST = 1 << 20


def model_file(folder: Path) -> Path:
    """The file in the folder that holds the model; its content says how it is read.

    Raises ModelError where no flavor has a reader, Refused where the file lies outside the folder.
    """
    about = folder / "MLmodel"
    if about.stat().st_size > LARGEST:
        raise ModelError(f"{about} is larger than {LARGEST >> 20} MiB: that is no description of a model")
    try:
        described = YAML(typ="safe", pure=True).load(about.read_text("utf-8"))
    except (YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(
            f"{about} is no readable YAML ({' '.join(str(error).split())[:200]}): save it again"
        ) from error
    flavors = described.get("flavors") if isinstance(described, dict) else None
    if not isinstance(flavors, dict):
        raise ModelError(f"{about} names no flavors: it is no model saved by MLflow")
    for flavor, key in FILES.items():
        kept = flavors.get(flavor)
        if isinstance(kept, dict) and isinstance(kept.get(key), str):
            return _inside(folder, kept[key])
    raise ModelError(
        f"{folder} is an MLflow model of the flavors {', '.join(sorted(map(str, flavors)))}: only "
        f"{', '.join(FILES)} are read here. Give the model file in it, or python:module:function that loads it"
    )


def registered(uri: str) -> Path:
    """The folder of a model in an MLflow registry (MLFLOW_TRACKING_URI, MLFLOW_REGISTRY_URI), fetched by mlflow itself.

    Raises ModelError for an address that is none, without the library, or with what the registry said.
    """
    if not re.fullmatch(r"models:/[^/@]+(/[^/@]+|@[^/@]+)", uri):
        raise ModelError(f"{uri} is no model in a registry: that is models:/NAME/VERSION or models:/NAME@ALIAS")
    try:
        from mlflow.artifacts import download_artifacts
    except ImportError:
        raise ModelError(
            f"{uri} is in an MLflow registry: install mlflow-skinny (or mlflow) to have it fetched, or give the "
            "path of the model's folder, which holds a file MLmodel"
        ) from None
    try:
        return Path(download_artifacts(artifact_uri=uri))
    except Exception as error:
        raise ModelError(
            f"{uri} could not be fetched ({' '.join(str(error).split())[:300]}): check the name, the version or alias, "
            "and MLFLOW_TRACKING_URI"
        ) from error


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Refused(f"{folder}/MLmodel points to {name[:80]!r}, outside its folder: nothing of it was opened")
    if not path.is_file():
        raise ModelError(f"{folder}/MLmodel names the file {name[:80]!r}, which is not there: copy the whole folder")
    return path
