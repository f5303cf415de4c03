"""Which environment a pickle was written in, told by what it says of itself: version stamps and module names.

A package is proposed only where `eras.json` names it: a module's name in a foreign file says nothing of who would be
on the other end of `pip install`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from workbench.models.environment import Environment
from workbench.models.interpreters import HERE, find_python, how_to_get

Name = tuple[str, str]

STANDARD = frozenset({"__builtin__", "_codecs", "builtins", "collections", "copy_reg", "copyreg", "datetime", "dill"})
"""Modules no package has to be installed for: Python's own, and dill, whose one function is ours."""

XGBOOST = (
    (re.compile(rb'"version":\s*\[(\d+),\s*(\d+),\s*(\d+)\]'), int),
    (re.compile(rb"version\[#L\x00{7}\x03[iU](.)[iU](.)[iU](.)", re.DOTALL), ord),
)
"""How XGBoost writes its version into JSON and UBJ."""


def booster_version(name: Name | None, data: object) -> dict[str, str]:
    """The version of XGBoost that wrote a pickled booster, where its bytes say it."""
    if name == ("xgboost.core", "Booster") and isinstance(data, bytes | bytearray):
        for pattern, read in XGBOOST:
            if match := pattern.search(bytes(data)):
                return {"xgboost": ".".join(str(read(part)) for part in match.groups())}
    return {}


@cache
def eras() -> Mapping[str, Any]:
    """`eras.json`."""
    found: Mapping[str, Any] = json.loads(resources.files("workbench.models").joinpath("eras.json").read_text("utf-8"))
    return found


@dataclass(frozen=True)
class Plan:
    """What it takes to open a pickle as it was written. why: in words; environment: None where none can be named.

    missing: what stands in the way on this machine, "" for nothing. absent: modules it needs that are not here.
    """

    why: str
    environment: Environment | None = None
    missing: str = ""
    absent: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """What a person does next, the lines for migration.yaml included."""
        retrain = "or export it as ONNX from where it still runs, or train the model again"
        if self.environment is None:
            return f"{self.why}: open it in the environment it was made in, {retrain}"
        first = f"first {self.missing}; then add" if self.missing else "add"
        return f"{self.why}: {first} to migration.yaml, under legacy: {yaml_line(self.environment)}; {retrain}"


def yaml_line(environment: Environment) -> str:
    """The environment as one line of migration.yaml."""
    python = f"python: '{environment.python}', " if environment.python else ""
    quoted = ", ".join(f"'{text}'" for text in environment.requirements)
    return f"environment: {{{python}requirements: [{quoted}]}}"


def plan(names: Iterable[Name], versions: Mapping[str, str]) -> Plan | None:
    """The environment a pickle needs; None where ours will do.

    names: the globals it asks for; versions: its stamps, by distribution.
    """
    modules = {module for module, _ in names}
    tops = {module.split(".")[0] for module in modules} - STANDARD
    written = versions.get("scikit-learn", "")
    absent = tuple(sorted(top for top in tops if not _importable(top)))
    reasons = _reasons(absent, "sklearn" in tops, written)
    if not reasons:
        return None
    why = " and ".join(reasons)
    era = eras()["scikit-learn"].get(_minor(written))
    known = eras()["distributions"]
    if era is None or not tops <= known.keys():
        return Plan(why, absent=absent)
    python, missing = _python(era["python"])
    return Plan(why, Environment(_requirements(tops, modules, versions, era), python), missing, absent)


def _reasons(absent: tuple[str, ...], stamped: bool, written: str) -> list[str]:
    reasons = []
    if written and stamped and _minor(written) != _minor(_here("scikit-learn")):
        reasons.append(f"it was written by scikit-learn {written}, and here is {_here('scikit-learn') or 'none'}")
    if absent:
        reasons.append(f"it needs {', '.join(absent)}, not installed here")
    return reasons


def _importable(top: str) -> bool:
    try:
        return find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _here(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _minor(text: str) -> str:
    """ "1.2" of "1.2.2"."""
    return ".".join(text.split(".")[:2])


def _python(fitting: list[str]) -> tuple[str | None, str]:
    """(version, what is missing): ours where it fits, else the newest on this machine, else what to install."""
    if HERE in fitting:
        return None, ""
    found = next((one for one in fitting if find_python(one)), None)
    return (found, "") if found else (fitting[0], how_to_get(fitting[0]))


def _requirements(
    tops: set[str], modules: set[str], versions: Mapping[str, str], era: Mapping[str, Any]
) -> tuple[str, ...]:
    """scikit-learn exactly; the rest as it was at that time."""
    numpy_2 = any(module.startswith("numpy._core") for module in modules)
    numpy = f">=2,{era['numpy']}" if numpy_2 else _lower(era["numpy"], eras()["newest_numpy_1"])
    given = {"scikit-learn": f"=={versions['scikit-learn']}", "numpy": numpy, "scipy": era["scipy"]}
    given["pandas"] = era["pandas"]
    for top in sorted(tops - {"sklearn", "numpy", "scipy", "pandas", "joblib"}):
        name = eras()["distributions"][top]
        given[name] = f"=={versions[name]}" if name in versions else era.get(name, "")
        given |= dict.fromkeys(eras()["forgotten"].get(name, ()), "")
    return tuple(f"{name}{wanted}" for name, wanted in given.items())


def _lower(one: str, other: str) -> str:
    """The stricter of two upper bounds."""
    return min(one, other, key=lambda bound: [int(part) for part in re.findall(r"\d+", bound)])
