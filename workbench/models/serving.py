"""How a torch file is answered from: by which engine, on which device, and how many rows at once.

A file that was tuned says so in a part of its own, so that whatever opens it, in any process, runs it as it was
judged, and its sha256 covers the choice. Settings travel, machine code never does: what an engine compiles it compiles
where the file is opened, before the first answer. Threads are the process's: `serving.json` beside it names how many.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.models.protocol import ModelError

SERVING = "workbench.serving"
BESIDE = "serving.json"
ENGINES: dict[str, str] = {
    "eager": "torch's operators one by one, trees by their compiled kernel",
    "portable": "torch's own operators only, trees too",
    "inductor": "torch.compile",
    "inductor-overhead": "torch.compile, mode reduce-overhead",
    "inductor-max": "torch.compile, mode max-autotune",
    "aot": "AOTInductor, compiled as the file is opened",
    "cuda-graphs": "the kernels of an answer recorded once and replayed on a GPU",
    "onnx": "onnxruntime, from the ONNX file of the same model",
}
MODES = {"inductor": "default", "inductor-overhead": "reduce-overhead", "inductor-max": "max-autotune"}
"""Engines of torch.compile, and its modes."""


@dataclass(frozen=True)
class Serving:
    """engine: see ENGINES. device: "cpu" or "cuda". tf32: matrix products of float32 in TensorFloat-32 on a GPU.
    threads: of the process. rows: at once, at most; 0: as the file says."""

    engine: str = "eager"
    device: str = "cpu"
    tf32: bool = False
    threads: int = 1
    rows: int = 0

    @classmethod
    def read(cls, said: bytes | str) -> Serving | None:
        """From the part of a file; None where it says nothing. Raises ModelError for what is not known here."""
        if not said:
            return None
        try:
            found = cls(**json.loads(said))
        except (ValueError, TypeError, RecursionError) as error:
            raise ModelError(f"the file's {SERVING} is not read here ({error}): tune the candidate again") from error
        sound = isinstance(found.rows, int) and isinstance(found.threads, int) and found.rows >= 0 < found.threads
        if found.engine not in ENGINES or found.engine == "onnx" or found.device not in ("cpu", "cuda") or not sound:
            raise ModelError(f"the file is served by {found}, which this version does not know: update the workbench")
        return found

    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def write_served(source: Path, target: Path, serving: Serving) -> tuple[Path, ...]:
    """The model at `source` once more at `target`, with how it is served; the files written, `serving.json` among them.

    A `.pt2` carries its settings and keeps the plain spec beside it; of an ONNX file only the threads are a setting.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    files = [target]
    if target.suffix == ".pt2":
        with zipfile.ZipFile(target, "a") as archive:
            root = archive.namelist()[0].split("/")[0]
            archive.writestr(f"{root}/extra/{SERVING}", serving.text())
        files += _spec(source, target)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    said = {**asdict(serving), "means": ENGINES[serving.engine], "file": target.name, "sha256": digest}
    beside = target.with_name(BESIDE)
    beside.write_text(json.dumps(said, indent=1, sort_keys=True), "utf-8")
    return (*files, beside)


def _spec(source: Path, target: Path) -> list[Path]:
    """The plain spec of the source beside the target, naming the target's own hash."""
    if not source.with_suffix(".json").is_file():
        return []
    said = json.loads(source.with_suffix(".json").read_text("utf-8"))
    said["files"] = {target.name: hashlib.sha256(target.read_bytes()).hexdigest()}
    copied = []
    if source.with_suffix(".npz").is_file():
        shutil.copyfile(source.with_suffix(".npz"), target.with_suffix(".npz"))
        copied = [target.with_suffix(".npz")]
        said["files"][copied[0].name] = hashlib.sha256(copied[0].read_bytes()).hexdigest()
    target.with_suffix(".json").write_text(json.dumps(said, indent=1, allow_nan=True), "utf-8")
    return [target.with_suffix(".json"), *copied]


def threads_of(path: Path) -> int:
    """The threads that `serving.json` beside a model file names for it; 1 where there is none, or it is of another."""
    try:
        said = json.loads(path.with_name(BESIDE).read_text("utf-8"))
        if said["file"] != path.name or said["sha256"] != hashlib.sha256(path.read_bytes()).hexdigest():
            return 1
        return max(1, int(said["threads"]))
    except (OSError, ValueError, KeyError, TypeError):
        return 1
