"""The one door: an address becomes a `Model`, whatever is behind it."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from workbench.models.options import Options
from workbench.models.protocol import Model, ModelError
from workbench.models.sandbox import CODE, DATA, protection
from workbench.models.serving import threads_of
from workbench.models.trust import Trust

IN_HOST = ("pickle",)
"""Formats that could run code: they are opened in a process of their own, never in this one."""
APART = ("catboost", "skops")
"""Formats read by a library of their own, whose faults must not be this process's."""
NETWORK = ("http://", "https://")


def open_model(uri: str, *, folder: Path = Path(), **options: object) -> Model:
    """The model at an address.

    uri: a file, relative to folder, known by its content (scikit-learn pickle or joblib, XGBoost JSON, UBJ or old
    binary, LightGBM text, CatBoost, PMML, ONNX, skops, torch .pt2); a folder in which MLflow saved one of these, or
    `models:/NAME/VERSION` or `models:/NAME@ALIAS` in its registry; `http(s)://HOST/v2/models/NAME`, a running service
    of the Open Inference Protocol; `python:package.module:function`, looked for in folder; `column:NAME` or
    `column:NAME OP LITERAL`, a prediction already in the data. options: see `options.Options`.
    Raises ModelError saying what the file is and what to do where it cannot be opened, Refused (a ModelError) where
    it must not be: nothing of it was run then.
    """
    chosen = Options.read(options)
    if uri.startswith(("column:", "python:", *NETWORK)):
        _no_sections(uri, chosen)
    if uri.startswith(("column:", *NETWORK)):
        return cast("Model", _open(uri, folder, chosen))
    if uri.startswith("python:"):
        return _in_host(uri, folder, chosen)
    path = find(uri, folder)
    if "threads" not in options:
        chosen = replace(chosen, threads=threads_of(path))
    if chosen.host:
        return _in_host(uri, folder, chosen)
    from workbench.models.sniff import sniff

    if sniff(path).format in (*IN_HOST, *APART):
        return _in_host(uri, folder, chosen)
    _no_sections(path.name, chosen)
    model = _open(uri, folder, chosen)
    model.address = (uri, folder, chosen)
    return cast("Model", model)


def in_host(model: Model) -> Model:
    """The same model answering from a process of its own, for honest times and memory; close it after use.

    A model that has a host already, or was not opened by `open_model`, is given back as it is.
    """
    address = getattr(model, "address", None)
    return model if address is None else _in_host(*address)


def _in_host(uri: str, folder: Path, options: Options) -> Model:
    from workbench.models.client import HostModel

    if uri.startswith("python:"):
        return HostModel(uri, folder.resolve(), options, CODE)
    from workbench.models.sniff import sniff

    path = find(uri, folder)
    uri, folder = str(path.resolve()), path.resolve().parent
    if (kind := sniff(path).format) not in IN_HOST:
        _no_sections(path.name, options)
        return HostModel(uri, folder, options, protection() if kind in APART else DATA)
    return _pickle(path.resolve(), options)


def _pickle(path: Path, options: Options) -> Model:
    """A pickle is walked here, before a host is even started."""
    from workbench.models.client import HostModel
    from workbench.models.environment import Environment
    from workbench.models.safety import inspect, survey
    from workbench.models.stamps import plan

    trust = Trust.read(options.trust) if options.trust else None
    if trust:
        trust.hold(path)
    if options.environment:
        from workbench.models.environment_model import EnvironmentModel

        return EnvironmentModel(path, options, Environment.read(options.environment), trust)
    found = survey(path)[0] if trust else inspect(path)
    needed = plan(found.names, found.versions)
    if needed is not None and needed.absent:
        raise ModelError(f"{path.name} cannot be opened here: {needed.advice}")
    return HostModel(str(path), path.parent, options, protection(), trust)


def _no_sections(name: str, options: Options) -> None:
    """An environment or a person's word does nothing for a file that runs no code."""
    given = [name for name in ("environment", "trust") if getattr(options, name)]
    if given:
        raise ModelError(f"{name} is no pickle and takes no {given[0]}: leave `{given[0]}` out in migration.yaml")


def open_here(uri: str, folder: Path, options: Mapping[str, object]) -> Any:
    """The model in this process, pickles and callables too: for the model host."""
    return _open(uri, folder, Options.read(options), hosted=True)


def _open(uri: str, folder: Path, options: Options, hosted: bool = False) -> Any:
    if uri.startswith("column:"):
        from workbench.models.column_model import ColumnModel

        return ColumnModel(uri, options)
    if uri.startswith(NETWORK):
        from workbench.models.service import open_service

        return open_service(uri, options)
    if uri.startswith("python:"):
        from workbench.models.python_model import PythonModel

        assert hosted
        return PythonModel(uri, folder, options)
    path = find(uri, folder)
    try:
        return _open_file(path, options, hosted)
    except ModelError as error:
        if str(error).startswith((path.name, "the option")):
            raise
        raise type(error)(f"{path.name}: {error}") from error


def _open_file(path: Path, options: Options, hosted: bool) -> Any:
    from workbench.models.sniff import sniff

    kind, fingerprint = sniff(path).format, options.fingerprint(path)
    if kind == "pickle":
        from workbench.models.sklearn_file import open_sklearn

        assert hosted
        trusted = options.trust is not None
        if options.trust:
            Trust.read(options.trust).hold(path)
        return open_sklearn(path, fingerprint, features=options.features, threads=options.threads, trusted=trusted)
    if kind == "skops":
        from workbench.models.skops_file import open_skops

        return open_skops(path, fingerprint, features=options.features, threads=options.threads)
    if kind == "catboost":
        from workbench.models.catboost_file import open_catboost

        return open_catboost(path, fingerprint, options)
    if kind == "onnx":
        from workbench.models.onnx_file import open_onnx

        return open_onnx(path, options)
    if kind == "torch":
        from workbench.models.torch_file import open_torch

        return open_torch(path, **_for_torch(options))
    if kind == "pmml":
        from workbench.models.pmml import open_pmml

        return open_pmml(path.read_bytes(), fingerprint)
    return _open_booster(kind, path, fingerprint, options)


def _for_torch(options: Options) -> dict[str, Any]:
    """What a torch file that was not made here does not say. Its threads are the process's."""
    given = {"task": options.task, "classes": options.classes, "inputs": options.inputs or options.features}
    return {name: value for name, value in given.items() if value is not None}


def _open_booster(kind: str, path: Path, fingerprint: str, options: Options) -> Any:
    from workbench.models.booster_model import open_lightgbm, open_xgboost

    shared: dict[str, Any] = {
        "threads": options.threads,
        "classes": options.classes,
        "features": options.features,
        "reader": options.reader,
    }
    if kind == "xgboost":
        entries = _feature_map(path, options.feature_map)
        if entries is not None:
            fingerprint = hashlib.sha256(f"{fingerprint} {entries}".encode()).hexdigest()
        return open_xgboost(path.read_bytes(), fingerprint, rounds=options.rounds, feature_map=entries, **shared)
    return open_lightgbm(path.read_bytes(), fingerprint, categorical=options.categorical, **shared)


def _feature_map(path: Path, name: str | None) -> Any:
    """The entries of the feature map, None for none: beside the model, or named from a folder above it."""
    from workbench.models.feature_map import read_feature_map

    if name is None:
        return None
    places = [parent / name for parent in path.resolve().parents]
    return read_feature_map(next((place for place in places if place.is_file()), path.parent / name))


def find(uri: str, folder: Path) -> Path:
    """The file at a path relative to folder. Raises ModelError where there is none, with names that are near."""
    if uri.startswith("models:/"):
        from workbench.models.mlflow_folder import model_file, registered

        return model_file(registered(uri))
    if re.match(r"[a-z][a-z0-9+.-]+://", uri):
        raise ModelError(
            f"{uri} is an address on a network that is not read here: copy the model to a file and give its path; a "
            "running service has http(s)://host/v2/models/NAME"
        )
    path = folder / uri
    if path.is_dir() and (path / "MLmodel").is_file():
        from workbench.models.mlflow_folder import model_file

        return model_file(path)
    if path.is_dir():
        inside = ", ".join(sorted(child.name for child in path.iterdir())[:5])
        raise ModelError(f"{path} is a folder ({inside}): give the model file in it")
    if not path.is_file():
        beside = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, beside, 3, 0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"looked in {path.parent.resolve()}"
        raise ModelError(f"there is no model file {uri}: {hint}")
    return path
