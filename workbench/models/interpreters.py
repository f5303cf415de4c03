"""Other Pythons on this machine: on the PATH, and where pyenv, uv, conda and the manylinux images keep theirs."""

from __future__ import annotations

import glob
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
OLDEST = (3, 6)
"""The oldest Python our file in its environment speaks."""

KEPT_AT = (
    "{pyenv}/versions/{version}.*/bin/python",
    "~/.local/share/uv/python/cpython-{version}.*/bin/python{version}",
    "~/*conda*/envs/*/bin/python{version}",
    "~/miniforge3/envs/*/bin/python{version}",
    "/opt/python/cp{digits}-*/bin/python",
    "/opt/*/bin/python{version}",
    "/usr/local/bin/python{version}",
    "/usr/bin/python{version}",
)


def is_version(text: str) -> bool:
    """ "3.9": what may be asked for as a Python version."""
    return re.fullmatch(r"3\.\d{1,2}", text) is not None


@cache
def find_python(wanted: str) -> str | None:
    """The path of an interpreter of a version ("3.9") or at a path, None where there is none that starts."""
    if wanted == HERE:
        return sys.executable
    return next((path for path in _candidates(wanted) if _answers(path, wanted)), None)


def _candidates(wanted: str) -> Iterator[str]:
    if not is_version(wanted):
        yield os.path.expanduser(wanted)
        return
    named = shutil.which(f"python{wanted}")
    if named:
        yield named
    pyenv = os.environ.get("PYENV_ROOT", "~/.pyenv")
    for pattern in KEPT_AT:
        where = pattern.format(pyenv=pyenv, version=wanted, digits=wanted.replace(".", ""))
        yield from sorted(glob.glob(os.path.expanduser(where)), key=_numbers, reverse=True)


def _numbers(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def _answers(path: str, wanted: str) -> bool:
    """A shim of a version manager may lie under the name and not start."""
    version = version_of(path)
    return version is not None and (not is_version(wanted) or version == wanted)


@cache
def version_of(path: str) -> str | None:
    """ "3.9" of the interpreter at a path, None where it does not start."""
    try:
        told = subprocess.run(
            [path, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            timeout=30,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return told.stdout.strip() if told.returncode == 0 and is_version(told.stdout.strip()) else None


def how_to_get(version: str) -> str:
    """What a person does to have a Python of that version."""
    return (
        f"install Python {version} so that it is found as python{version} on the PATH, or under pyenv "
        f"(`pyenv install {version}`) or uv (`uv python install {version}`)"
    )


def machine() -> str:
    """What wheels depend on."""
    return f"{platform.system()}-{platform.machine()}"
