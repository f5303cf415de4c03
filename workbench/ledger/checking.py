"""`workbench verify`: what is not as it was written. Needs public keys only, reads nothing but files, goes nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from workbench import store
from workbench.ledger.chain import Ledger, read
from workbench.ledger.entries import RunFinished
from workbench.ledger.merkle import Checkpoint, checkpoint


@dataclass(frozen=True)
class Verified:
    """problems: each names what was changed, removed, added or put elsewhere. facts: what was looked at, and what
    cannot be told from here. Everything holds only if there are no problems."""

    problems: tuple[str, ...]
    facts: tuple[str, ...]


def verify(folder: Path, trusted: Sequence[str] = (), given: Checkpoint | None = None) -> Verified:
    """The ledger of the migration in `folder` and every byte of every run it names.

    trusted: public keys (raw, base64) you hold from elsewhere. given: a checkpoint you hold from elsewhere, as a
    printed report shows it.
    """
    ledger = read(folder, trusted)
    runs = store.runs(folder)
    problems = [f"ledger: {problem}" for problem in ledger.problems]
    problems += _checkpoints(ledger, runs, given)
    problems += [f"run {run.id}: {problem}" for run in runs if run.record for problem in store.verify(run.folder)]
    problems += [f"run {run.id}: {run.reason}" for run in runs if run.state == "crashed" and _was_done(run)]
    problems += _known(folder, ledger, runs)
    return Verified(tuple(problems), _facts(ledger, runs, trusted, given))


def _was_done(run: store.Run) -> bool:
    return (run.folder / store.RUN).exists()


def _checkpoints(ledger: Ledger, runs: Sequence[store.Run], given: Checkpoint | None) -> list[str]:
    """What checkpoints say that the chain cannot: that lines are missing at its end."""
    known = [(f"run {run.id}", run.record.ledger) for run in runs if run.record and run.record.ledger]
    claimed = [(where, _parsed(text)) for where, text in known]
    problems = [f"{where}: its checkpoint of the ledger is damaged" for where, mark in claimed if mark is None]
    marks = [(where, mark) for where, mark in [*claimed, ("the checkpoint you gave", given)] if mark is not None]
    return problems + [text for where, mark in marks if (text := _holds(ledger, where, mark))]


def _parsed(text: str) -> Checkpoint | None:
    try:
        return Checkpoint.parse(text)
    except ValueError:
        return None


def _holds(ledger: Ledger, where: str, mark: Checkpoint) -> str:
    if len(ledger.lines) < mark.size:
        return f"ledger: its end was cut off: {where} saw {mark.size} entries, {len(ledger.lines)} are left"
    if checkpoint(ledger.lines[: mark.size]).root != mark.root:
        return f"ledger: its first {mark.size} entries are not those that {where} saw"
    return ""


def _known(folder: Path, ledger: Ledger, runs: Sequence[store.Run]) -> list[str]:
    """Runs without an entry, entries without their run, and run.json files other than the one that was signed."""
    entered = {entry.body.run: entry.body.digest for entry in ledger.entries if isinstance(entry.body, RunFinished)}
    there = {run.id: run for run in runs if _was_done(run)}
    problems = [
        f"run {run}: it is not in the ledger{'' if ledger.entries else ', which is missing'}"
        for run in there
        if run not in entered
    ]
    problems += [
        f"run {run}: the ledger knows it, and it is gone from {store.REPORTS}" for run in entered.keys() - there
    ]
    return problems + [
        f"run {run}: {store.RUN} is not the one that the ledger signed"
        for run, digest in entered.items()
        if run in there and store.seal_of(there[run].folder / store.RUN).sha256 != digest
    ]


def _facts(
    ledger: Ledger, runs: Sequence[store.Run], trusted: Sequence[str], given: Checkpoint | None
) -> tuple[str, ...]:
    files = sum(len(run.record.files) for run in runs if run.record)
    done = sum(run.record is not None for run in runs)
    facts = [
        f"{len(ledger.entries)} entries of the ledger, {done} runs and {files} files looked at.",
        f"Checkpoint {ledger.checkpoint}",
    ]
    if ledger.entries and not trusted:
        facts.append(
            f"Nobody said whose keys these are ({', '.join(sorted(key[:12] for key in ledger.keys))}): whoever can "
            "replace every file can sign them anew. Give the public key you hold: --key"
        )
    if ledger.entries and given is None:
        facts.append(
            "Entries that are newer than the last run could have been cut off unseen: give a checkpoint you hold "
            "from elsewhere, --checkpoint SIZE:ROOT."
        )
    if back := [later.seq for earlier, later in pairwise(ledger.entries) if later.at < earlier.at]:
        facts.append(
            f"Entry {', '.join(map(str, back))} is dated before the one it follows: a clock was set back. The order is "
            "that of the numbers, which are signed."
        )
    unfinished = [run.id for run in runs if run.state != "done" and not _was_done(run)]
    if unfinished:
        facts.append(f"Unfinished, and so not signed: {', '.join(unfinished)}.")
    return tuple(facts)
