"""The command `export`: one signed bundle, or one format alone."""

from __future__ import annotations

from pathlib import Path

from workbench import emit as formats
from workbench import ledger, store
from workbench.evidence import Evidence
from workbench.migration import Migration, open_migration
from workbench.runner import REPORT
from workbench.ui.say import emit, out, typed

BUNDLE = "bundle"


def export(folder: Path, output: Path | None, name: str, *, as_json: bool) -> None:
    """name: "bundle", or one of `emit.FORMATS`. Raises NoFormatError, LedgerError, StoreError."""
    migration = open_migration(folder)
    if name == BUNDLE:
        _bundle(migration, output, as_json)
    else:
        _one(migration, output, name, as_json)


def _bundle(migration: Migration, output: Path | None, as_json: bool) -> None:
    printed, why = _printed(migration)
    made = formats.everything(formats.gather(migration))
    without = made.without | ({"report.pdf": why} if why else {})
    path = output or Path(f"{migration.folder.resolve().name}.evidence.zip")
    path = ledger.export(migration, path, made.files | printed)
    public = ledger.my_key().public
    emit({"bundle": str(path), "public key": public, "without": without}, as_json)
    if not as_json:
        for name, reason in without.items():
            out(f"Without {name}: {reason}", style="dim")
        out(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
        out(f"Anyone can check it, offline: workbench verify {typed(path)} --key {public}", hang=4)


def _one(migration: Migration, output: Path | None, name: str, as_json: bool) -> None:
    files = formats.emit(formats.gather(migration), name)
    place = _place(output, next(iter(files)), len(files))
    written = []
    for number, (file, content) in enumerate(files.items()):
        path = place.with_name(file) if number else place
        store.write(path, content)
        written.append(str(path))
    emit({"format": name, "files": written}, as_json)
    if not as_json:
        for line in written:
            out(line)


def _place(output: Path | None, name: str, count: int) -> Path:
    """Where the first file goes: as said, in the folder that was said, or here."""
    if output is None:
        return Path(name)
    return output / name if output.is_dir() or (count > 1 and not output.suffix) else output


def junit(path: Path, migration: Migration, evidences: tuple[Evidence, ...]) -> None:
    """What a run ended with, for CI. Raises StoreError."""
    store.write(path, formats.junit.xml(migration.name, evidences))


def _printed(migration: Migration) -> tuple[dict[str, bytes], str]:
    """The newest report as PDF, or why there is none."""
    from workbench.render import NoPdfError, pdf

    run = next((run for run in store.runs(migration.folder) if run.state == "done"), None)
    page = run.folder / REPORT if run else None
    if page is None or not page.exists():
        return {}, "there is no report"
    try:
        return {"report.pdf": pdf(page)}, ""
    except NoPdfError as error:
        return {}, str(error)
