"""A token in every cell, and where it may turn up: nowhere in what a run leaves, but in the cases sampled for people.

What may be shown of the data, exactly: names of columns; a value that at least `privacy.minimum_cell` rows share, as
the name of their group; and the cases that a person is asked to judge. Everything else that is found here is a leak.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench import catalog, emit, ledger, uat
from workbench.ledger import archive
from workbench.migration import open_migration
from workbench.render import NoPdfError, pdf
from workbench.ui.cli import main

ROWS = 240
SHARED, RARE = "KqShared", "KqRare"
"""Groups: two of many rows, whose names are aggregates, and one of three rows, whose name is not."""
TOKEN = re.compile(rb"Kq[0-9a-f]{2}x\d{4}z|KqRare|KqSecret|KqPath|(?<![\d.])81[1-3]06\d{4}")
"""A text of a cell, the rare group, what a model says of a row, the place on this machine, a number of a cell."""

MODEL = """
import numpy as np

def legacy(frame):
    return (frame["income"].to_numpy() % 97) / 97

def candidate(frame):
    score = legacy(frame)
    return np.where(score > 0.99, score - 0.02, score)

def tells(frame):
    raise ValueError(f"KqSecret: no price for {frame.iloc[0].to_dict()}")
"""


def planted(seed: int) -> pd.DataFrame:
    """Every text is unique, every number too: 81, the column, 6 and the row."""
    random = np.random.default_rng(seed)
    row = np.arange(ROWS) + seed * 1_000

    def texts(column: int) -> list[str]:
        return [f"Kq{column:02x}x{n:04d}z" for n in row]

    group = np.where(np.arange(ROWS) < 3, RARE, np.where(random.random(ROWS) < 0.5, f"{SHARED}A", f"{SHARED}B"))
    income = np.array([811060000 + n for n in row])
    return pd.DataFrame(
        {
            "customer": texts(1), "street": texts(2), "note": texts(3), "mail": [f"{one}@x.org" for one in texts(4)],
            "income": income, "debt": [812060000 + n for n in row], "rate": [813060000 + n + 0.25 for n in row],
            "sex": group, "default": ((income % 97) / 97 + random.normal(0, 0.3, ROWS) > 0.5).astype(int),
        }
    )  # fmt: skip


def migration_in(place: Path, candidate: str) -> Path:
    folder = place / "KqPath" / "credit"
    folder.mkdir(parents=True)
    for seed, name in enumerate(("holdout", "train", "production")):
        planted(seed).to_csv(folder / f"{name}.csv", index=False)
    (folder / "scoring.py").write_text(MODEL)
    (folder / "migration.yaml").write_text(
        "version: 1\nname: credit\ndata: {holdout: holdout.csv, train: train.csv, production: production.csv}\n"
        f"legacy: {{uri: 'python:scoring:legacy'}}\ncandidate: {{uri: 'python:scoring:{candidate}'}}\n"
        "task: {kind: binary, target: default, positive: 1}\n"
        "roles: {protected: [sex], key: [customer], personal: [street, mail]}\n"
    )
    return folder


def leaks(name: str, content: bytes) -> Iterator[str]:
    for found in sorted({match[0] for match in TOKEN.finditer(content)}):
        yield f"{name}: {found.decode()}"


def of_folder(folder: Path, *, but: tuple[str, ...] = ()) -> list[str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(but)]
    return [leak for path in files for leak in leaks(path.relative_to(folder).as_posix(), content_of(path))]


def content_of(path: Path) -> bytes:
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_csv().encode()
    return path.read_bytes()


HERE = re.compile(r": KqPath$")
"""What stays on this machine may name places on it."""


@pytest.mark.slow
@pytest.mark.long
def test_no_cell_turns_up_in_anything_a_run_leaves(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = migration_in(tmp_path, "candidate")
    names = ("readiness", "parity", "bias", "explainability", "acceptance")
    quick = ["-p", "explainability.rows=20", "-p", "explainability.background=20", "-p", "bias.draws=200"]
    only = [word for name in names for word in ("--only", name)]
    junit = tmp_path / "findings.xml"
    code = main(["run", str(folder), *only, *quick, "--progress", "json", "--junit", str(junit)])
    said = capfd.readouterr()
    assert code in (0, 1, 2), said.err
    for name in names:
        assert list(folder.glob(f"reports/*/??_{name}/evidence.json")), (name, said.out, said.err)
    assert main(["show", str(folder), "readiness", "--full"]) == 0
    assert main(["show", str(folder), "bias", "--full", "--json"]) == 0
    shown = capfd.readouterr()
    told = [*leaks("progress", (said.out + said.err).encode()), *leaks("show", (shown.out + shown.err).encode())]
    told += [*leaks("junit", junit.read_bytes()), *of_folder(folder / "reports", but=(uat.CASES,))]
    assert [leak for leak in told if not HERE.search(leak)] == []

    migration = open_migration(folder)
    path = ledger.export(migration, tmp_path / "credit.zip", emit.everything(emit.gather(migration)).files)
    content, _ = archive.unpack(path)
    assert [leak for name, data in content.items() for leak in leaks(name, data)] == [], "nor any place of this machine"
    assert SHARED.encode() in content["evidence/bias.json"], (
        "groups of many rows are named: the search would find a cell"
    )
    cases = next(folder.glob(f"reports/*/62_acceptance/{uat.CASES}"))
    assert any(leaks("cases", cases.read_bytes())), "cases are what people are asked about"
    assert not [leak for leak in leaks("", cases.read_bytes()) if re.search(r"Kq0[124]x", leak)], "masked by role"
    printed(content["report.html"], tmp_path)


def printed(page: bytes, place: Path) -> None:
    """What can be read in the PDF."""
    (place / "report.html").write_bytes(page)
    try:
        (place / "report.pdf").write_bytes(pdf(place / "report.html"))
    except NoPdfError:
        return
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", place / "report.pdf", "-"], capture_output=True, check=True).stdout
        assert b"credit" in text
        assert list(leaks("pdf", text)) == []


@pytest.mark.slow
@pytest.mark.long
def test_what_a_model_says_of_a_row_when_it_breaks_is_not_repeated(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A model's error quotes the row; the finding names the kind of error and its line."""
    folder = migration_in(tmp_path, "tells")
    migration = open_migration(folder)
    for name in ("parity", "bias"):
        found = catalog.run(migration, name, {"draws": 200})
        broken = [one for one in found.findings if "ValueError" in one.reason + one.title]
        assert broken, (name, found.findings)
        assert [leak for leak in leaks(name, found.to_json().encode()) if not HERE.search(leak)] == []
    assert main(["check", str(folder)]) in (0, 1)
    said = capfd.readouterr()
    assert [leak for leak in leaks("check", (said.out + said.err).encode()) if not HERE.search(leak)] == []
    assert json.dumps("KqSecret")[1:-1] not in said.out
