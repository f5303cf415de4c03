"""Reading back: never blocks, never writes, never trusts a byte that is not as it was sealed."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from workbench import __version__
from workbench.evidence import SCHEMA, Evidence
from workbench.store.holder import Claim, gone
from workbench.store.records import (
    CLAIM,
    EVIDENCE,
    NOTEBOOK,
    REPORTS,
    RUN,
    SEAL,
    DamagedError,
    Part,
    Record,
    Run,
    Seal,
    Sealed,
    Stored,
    StoreError,
    TooNewError,
    digest_of,
    folders,
    names,
    seal_of,
    seq_of,
)


def runs(folder: Path) -> tuple[Run, ...]:
    """Runs of the migration in `folder`, newest first. Never blocks, never writes."""
    found = sorted(folders(folder / REPORTS), key=lambda path: (seq_of(path), path.name), reverse=True)
    # One writer at a time: only the newest run can still be running.
    return tuple(_run(path, newest=index == 0) for index, path in enumerate(found))


def latest(folder: Path, name: str, key: str | None = None) -> Stored | None:
    """Newest stored evidence of the audit `name`, of finished notebooks also in crashed or running runs.

    With a key, only evidence with that freshness key; damaged or newer evidence is then passed over, so that it is
    computed again. Without one, DamagedError or TooNewError is raised.
    """
    for run in sorted(folders(folder / REPORTS), key=lambda path: (seq_of(path), path.name), reverse=True):
        for part in sorted(run.glob(f"[0-9][0-9]_{name}")):
            stored = _opened(run.name, part, key)
            if stored is not None:
                return stored
    return None


def latest_part(folder: Path, name: str, key: str) -> Part | None:
    """Newest finished notebook with this freshness key, whether it has evidence (an overview has none) or not."""
    for run in sorted(folders(folder / REPORTS), key=lambda path: (seq_of(path), path.name), reverse=True):
        for part in sorted(run.glob(f"[0-9][0-9]_{name}")):
            try:
                seal = Seal.model_validate_json((part / SEAL).read_bytes())
            except (FileNotFoundError, ValidationError):
                continue
            if seal.key == key and not any(_differs(part / name, name, sealed) for name, sealed in seal.files.items()):
                return Part(run.name, part, seal)
    return None


def runs_by(folder: Path, user: str) -> frozenset[str]:
    """Ids of the finished runs that this user started, as they wrote it down themselves."""
    done = (run for run in runs(folder) if run.record)
    return frozenset(r.id for r in done if r.record and r.record.writer.user.casefold() == user.casefold())


def holds(run: Run, part: Part) -> bool:
    """Whether the run has the same finished notebook."""
    try:
        seal = Seal.model_validate_json((run.folder / part.folder.name / SEAL).read_bytes())
    except (FileNotFoundError, ValidationError):
        return False
    return (seal.key, seal.notebook) == (part.seal.key, part.seal.notebook)


def read_evidence(path: Path) -> Evidence:
    """Evidence read back against its schema.

    Raises TooNewError if a newer workbench wrote it, DamagedError if it is missing, cut or not evidence.
    """
    try:
        plain = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DamagedError(
            f"{path} is missing. Run `workbench verify` to see what else is, then run the audit again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path} is cut or damaged ({error}). Run the audit again with --force.") from error
    written = plain.get("schema") if isinstance(plain, dict) else None
    if isinstance(written, int) and written > SCHEMA:
        raise TooNewError(
            f"{path} was written with evidence schema {written}; workbench {__version__} reads up to {SCHEMA}. "
            "Install a newer one: pip install --upgrade migration-workbench"
        )
    try:
        return Evidence.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise DamagedError(
            f"{path} is not evidence: {place}: {first['msg']}. Run the audit again with --force."
        ) from error


def verify(run: Path) -> tuple[str, ...]:
    """What is wrong with the files of a done run, one sentence each; empty if every byte is as it was written."""
    try:
        record = _record(run / RUN)
    except DamagedError as error:
        return (str(error),)
    problems = [problem for name, sealed in record.files.items() if (problem := _differs(run / name, name, sealed))]
    known = {*record.files, RUN, CLAIM}
    strangers = sorted(name for name in names(run) if name not in known)
    problems += [f"{name}: not part of the run (it was added later)" for name in strangers]
    return (*problems, *(f"{name}: a link, or no file (it was put there later)" for name in _odd(run)))


def _odd(run: Path) -> list[str]:
    """What `names` does not see, or sees through: links, pipes and the like. What they lead to can change unseen."""
    found = [path for path in (run, *run.rglob("*")) if path.is_symlink() or not (path.is_file() or path.is_dir())]
    return sorted(path.relative_to(run.parent).as_posix() for path in found)


def _run(path: Path, newest: bool) -> Run:
    try:
        return Run(path, "done", record=_record(path / RUN))
    except DamagedError as error:
        damage = str(error) if (path / RUN).exists() else ""
    claim = _claim(path)
    if damage or claim is None or not newest:
        return Run(path, "crashed", claim=claim, reason=damage or "it ended without finishing")
    reason = gone(claim)
    return Run(path, "crashed" if reason else "running", claim=claim, reason=reason)


def _record(path: Path) -> Record:
    try:
        plain = json.loads(path.read_bytes())
        record = Record.model_validate(plain)
    except FileNotFoundError as error:
        raise DamagedError(f"{path.parent.name}: {path.name} is missing: the run did not finish.") from error
    except (ValueError, RecursionError) as error:  # pydantic's is a ValueError, too
        raise DamagedError(f"{path.parent.name}: {path.name} is cut or damaged.") from error
    if record.run != path.parent.name or digest_of(plain) != record.digest:
        raise DamagedError(f"{path.parent.name}: {path.name} was changed after it was written.")
    return record


def _claim(run: Path) -> Claim | None:
    try:
        return Claim.model_validate_json((run / CLAIM).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _opened(run: str, part: Path, key: str | None) -> Stored | None:
    try:
        seal = Seal.model_validate_json((part / SEAL).read_bytes())
        if (key is not None and seal.key != key) or EVIDENCE not in seal.files:
            return None
        if problem := _differs(part / EVIDENCE, f"{run}/{part.name}/{EVIDENCE}", seal.files[EVIDENCE]):
            raise DamagedError(f"{problem}. Run the audit again with --force.")
        return Stored(run, part, seal, read_evidence(part / EVIDENCE))
    except FileNotFoundError:
        return None
    except (ValidationError, StoreError) as error:
        if key is not None:
            return None
        raise (
            error if isinstance(error, StoreError) else DamagedError(f"{run}/{part.name}/{SEAL} is damaged.")
        ) from error


def _saved(path: Path) -> str:
    """The likeliest cause, and what to do."""
    if path.name != NOTEBOOK:
        return ""
    return ": it was saved again, as JupyterLab does; run it again, and work in the copies under notebooks/"


def _differs(path: Path, name: str, sealed: Sealed) -> str:
    if not path.is_file():
        return f"{name}: missing"
    size = path.stat().st_size
    if size != sealed.size:
        return f"{name}: {size} bytes, {sealed.size} were written{_saved(path)}"
    return "" if seal_of(path).sha256 == sealed.sha256 else f"{name}: changed after it was written{_saved(path)}"
