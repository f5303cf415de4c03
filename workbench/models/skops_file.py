"""skops files: estimators as a schema of types and plain arrays. Only types of skops' own trusted list, or of the
list that holds for pickles, are built; the rest is refused by name, before anything is."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.models.portable.stand_ins import MODULES
from workbench.models.protocol import ModelError, Refused
from workbench.models.safety import Found, allowed

if TYPE_CHECKING:
    from workbench.models.sklearn_file import SklearnModel

LARGEST = 64 << 20
"""Bytes the schema may have."""
SCHEMA = "schema.json"


def open_skops(path: Path, fingerprint: str, *, features: tuple[str, ...] | None, threads: int) -> SklearnModel:
    """The estimator in a skops file. Call it in the model host only.

    Raises Refused for a type that is on neither list, ModelError where the file cannot be read here.
    """
    from workbench.models.sklearn_file import SklearnModel

    found = _stamped(path)
    estimator = _loaded(path, found)
    if isinstance(estimator, type) or not hasattr(estimator, "predict"):
        raise ModelError(f"{path.name} holds a {type(estimator).__name__}, not an estimator: save the fitted pipeline")
    try:
        return SklearnModel(estimator, found, fingerprint, features, threads)
    except (ModelError, MemoryError):
        raise
    except Exception as error:
        # It was built of whatever the file says: any part of it may be of another kind than its code expects.
        told = f"{type(error).__name__}: {str(error)[:200]}"
        raise ModelError(
            f"{path.name} holds an estimator with parts missing or wrong ({told}): save it anew"
        ) from error


def _stamped(path: Path) -> Found:
    """What the schema says of itself: types by module and name, versions of skops."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(SCHEMA).file_size > LARGEST:
                raise Refused(f"{path.name} has a schema of more than {LARGEST >> 20} MiB: that is no model")
            schema = json.loads(archive.read(SCHEMA))
    except ModelError:
        raise
    except Exception as error:
        # Of any kind: zipfile raises whatever its decoders do on bytes that are none of theirs.
        told = f"{type(error).__name__}: {str(error)[:200]}"
        raise ModelError(f"{path.name} has no schema that can be read ({told}): it was cut short or changed") from error
    if not isinstance(schema, dict) or "__class__" not in schema:
        raise ModelError(f"{path.name} has a schema that names no type: it is no skops file; save it again")
    said = schema.get("_skops_version")
    return Found(versions={"skops": str(said)[:40]} if said else {})


def _loaded(path: Path, found: Found) -> Any:
    try:
        from skops.io import get_untrusted_types, load
    except ImportError:
        raise ModelError(f"{path.name} is a skops file: install skops (the extra 'models') to open it") from None
    try:
        asked = get_untrusted_types(file=path)
        # What the unpickler reads as a stand-in would be built for real here.
        safe = {f"{module}.{name}" for module, name in allowed() if module not in MODULES}
        off = [name for name in asked if name not in safe]
        if off:
            raise Refused(
                f"{path.name} asks for {', '.join(off[:5])}, which no list of safe types holds: nothing was built. "
                "Save the model without it, or give python:package.module:function that loads it"
            )
        found.names.update((name.rpartition(".")[0], name.rpartition(".")[2]) for name in asked)
        return load(path, trusted=asked)
    except (ModelError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(
            f"{path.name} cannot be loaded by the installed skops and scikit-learn "
            f"({type(error).__name__}: {str(error)[:200]}): save it again with the versions here"
        ) from error
