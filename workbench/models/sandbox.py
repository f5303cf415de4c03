"""What a model's process may reach: nothing but its libraries under bubblewrap, and limits everywhere.

Bubblewrap (https://github.com/containers/bubblewrap) gives it no network, a read-only file system without anybody's
home, an empty environment and a private /tmp. Whether the machine lets it is tried once; where it does not, the
limits remain, and `Protection` says so for the evidence.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SWITCH = "WORKBENCH_SANDBOX"
"""Set to "off": bubblewrap is not used, though it is there."""

HIDDEN = ("/tmp", "/var/tmp", "/home", "/root", "/run", "/mnt", "/media", "/srv")  # noqa: S108
"""Folders a model sees empty, but for the libraries in them. The caller's own home is added."""

LANGUAGE = ("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
OPEN_FILES, WRITTEN, PROCESSES = 1024, 64 << 20, 4096


@dataclass(frozen=True)
class Protection:
    """walls: it runs under bubblewrap. why_not: where it does not, the reason."""

    walls: bool
    why_not: str = ""

    def __str__(self) -> str:
        limits = "limits on memory, processor time, files and processes, and a timeout"
        if self.walls:
            return f"bubblewrap: no network, read-only files, empty environment, private /tmp; {limits}"
        return f"{limits}; no bubblewrap: {self.why_not}"


CODE = Protection(False, "a callable is the team's own code and runs with their rights")
DATA = Protection(False, "this format runs no code")


def protection() -> Protection:
    """What a model that could run code gets on this machine."""
    reason = trouble(os.environ.get(SWITCH, ""))
    return Protection(not reason, reason)


@cache
def trouble(switch: str) -> str:
    """Why bubblewrap cannot be used here, "" where it can. Tried once a process."""
    if switch == "off":
        return f"{SWITCH} is off"
    program = shutil.which("bwrap")
    if program is None:
        return "it is not installed (package bubblewrap)"
    try:
        tried = subprocess.run(
            walled([sys.executable, "-I", "-c", "pass"], own_folders(), {}), capture_output=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it does not start ({type(error).__name__})"
    said = tried.stderr.decode(errors="replace").strip().splitlines()
    return "" if tried.returncode == 0 else f"it is not permitted here ({said[-1][:160] if said else tried.returncode})"


def walled(command: Sequence[str], readable: Iterable[Path], environment: Mapping[str, str]) -> list[str]:
    """The command under bubblewrap. readable: what stays to be seen of the folders that are hidden."""
    hidden = sorted({*HIDDEN, str(Path.home())} - {"/"})
    wall = [shutil.which("bwrap") or "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    wall += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for folder in hidden:
        # A link would be followed to where nothing may be mounted, and what it leads to is hidden under its own name.
        if os.path.isdir(folder) and not os.path.islink(folder):
            wall += ["--tmpfs", folder]
    for path in sorted({os.path.abspath(path) for path in readable}):
        if any(path.startswith(f"{folder}/") for folder in hidden):
            wall += ["--ro-bind-try", path, path]
    for name, value in {"HOME": "/tmp", "PATH": "/usr/bin:/bin", **environment}.items():  # noqa: S108
        wall += ["--setenv", name, value]
    return [*wall, "--chdir", "/", "--", *command]


def own_folders() -> list[Path]:
    """What this interpreter needs to start."""
    return folders(Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix))


def folders(executable: Path, *prefixes: Path) -> list[Path]:
    """What an interpreter needs to start: its installations, and the libraries the environment points to."""
    real = Path(os.path.realpath(executable))
    libraries = [Path(path) for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path]
    return [*prefixes, executable.parent, real.parents[1], *libraries]


def limits(memory_mb: int | None) -> dict[str, int]:
    """Resource limits by name, for the process to set before it opens anything. memory_mb: None for the machine's."""
    memory = memory_mb << 20 if memory_mb is not None else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "RLIMIT_CORE": 0,
        "RLIMIT_DATA": memory,
        "RLIMIT_NOFILE": OPEN_FILES,
        "RLIMIT_FSIZE": WRITTEN,
        "RLIMIT_NPROC": PROCESSES,
    }


def hold(values: Mapping[str, int]) -> None:
    """Set the limits in this process, never above those it was started with."""
    for name, value in values.items():
        limit = getattr(resource, name)
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
