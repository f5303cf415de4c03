"""A fuzzer for every parser of model files: `python tests/models/fuzz.py PARSER --minutes 10 [--seed N] [--keep DIR]`.

Minutes are those of the processor, so that a busy machine tries no fewer files. Whole files are made by the libraries
themselves, damaged by bytes and by structure, and read. A finding is anything but an answer or a ModelError: another
exception, more than PATIENCE seconds, more than SPARE bytes, or a dead process. Findings are printed once per place in
the code, and the file that caused each is kept in DIR.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from fuzz_mutate import damage
from fuzz_parsers import PARSERS, Parser

from workbench.models import ModelError

PATIENCE = 10.0
STARTING = 600.0
"""Seconds one file may take; what libraries and whole files may, on a busy machine."""
SPARE = 1 << 30
"""Bytes a parser may take beyond what the process had before."""
Report = tuple[str, str]
"""What happened ("" for nothing), and where."""


def files(parser: Parser, seed: int, start: int) -> Iterator[tuple[int, bytes]]:
    """Damaged files without end, the same for the same seed."""
    number, whole = start, parser.seeds()
    while True:
        chance = random.Random(seed * 1_000_003 + number)
        yield number, damage(chance.choice(whole), parser.form, chance)
        number += 1


def tried(parser: Parser, data: bytes) -> Report:
    """Reads one file here."""
    start = time.monotonic()
    try:
        parser.read(data)
    except ModelError as error:
        if not 20 < len(str(error)) < 3000:
            return "a sentence that is none", repr(str(error)[:200])
    except MemoryError:
        return "MemoryError", _place()
    except Exception as error:
        return type(error).__name__, _place()
    took = time.monotonic() - start
    return ("slow", f"{took:.0f} s") if took > PATIENCE / 2 else ("", "")


def _place() -> str:
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [frame for frame in frames if "workbench" in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno} ({str(sys.exc_info()[1])[:160]})"


def work(name: str, seed: int, start: int, to: Connection) -> None:
    """The reading process: says which file is next, then what became of it."""
    warnings.simplefilter("ignore")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)
    parser = PARSERS[name]
    for whole in parser.seeds():
        tried(parser, whole)
    had = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (had + SPARE, had + SPARE))
    before = time.process_time()
    for number, data in files(parser, seed, start):
        to.send((number, None, 0.0))
        report, after = tried(parser, data), time.process_time()
        to.send((number, report, after - before))
        before = after


def run(name: str, minutes: float, seed: int, keep: Path) -> int:
    """Tries files until the time is over. Returns the number of findings, each at a different place."""
    left, found, tries, start = 60 * minutes, set[str](), 0, 0
    context = multiprocessing.get_context("spawn")
    while left > 0:
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(name, seed, start, writer), daemon=True)
        process.start()
        writer.close()
        for number, report, took in _reports(reader):
            tries, start, left = tries + 1, number + 1, left - took
            if report[0] and (key := f"{report[0]} {report[1].split(' (')[0]}") not in found:
                found.add(key)
                _keep(name, seed, number, report, keep)
            if left <= 0:
                break
        process.kill()
        process.join()
    print(f"{name}: {tries} files in {minutes:g} minutes, {len(found)} findings", flush=True)
    return len(found)


def _reports(reader: Connection) -> Iterator[tuple[int, Report, float]]:
    """What became of each file, and the seconds of processor it took, until the process dies or hangs."""
    patience, trying = STARTING, -1
    while True:
        try:
            hung = trying, ("hang", f"{patience:g} s"), patience
            number, report, took = reader.recv() if reader.poll(patience) else hung
        except EOFError:
            number, report, took = trying, ("the process died", ""), 1.0
        if report is not None and number < 0:
            raise RuntimeError(f"the parser's process did not start within {STARTING:g} s: {report[0]}")
        if report is not None:
            yield number, report, took
        if report is not None and report[0] in ("hang", "the process died"):
            return
        trying, patience = number, PATIENCE


def _keep(name: str, seed: int, number: int, report: Report, folder: Path) -> None:
    _, data = next(files(PARSERS[name], seed, number))
    path = folder / f"{name}-{seed}-{number}-{hashlib.sha256(data).hexdigest()[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{name}: {report[0]} at {report[1]}: {path}", flush=True)


def main() -> None:
    says = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    says.add_argument("parser", choices=[*PARSERS, "all"])
    says.add_argument("--minutes", type=float, default=10.0)
    says.add_argument("--seed", type=int, default=1)
    says.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "workbench-fuzz")
    asked = says.parse_args()
    names = list(PARSERS) if asked.parser == "all" else [asked.parser]
    sys.exit(min(1, sum(run(name, asked.minutes, asked.seed, asked.keep) for name in names)))


if __name__ == "__main__":
    main()
