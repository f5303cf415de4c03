"""The house rules, as tests: each message is the advice."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import workbench
from workbench import catalog

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "workbench"
SOURCES = sorted(PACKAGE.rglob("*.py"))
AUDITS = sorted(path for path in (PACKAGE / "audits").glob("*.py") if not path.name.startswith("_"))


def _functions(path: Path) -> list[tuple[str, int]]:
    """Every function and how many lines of code it has: signature and docstring are not code."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            found.append((f"{path.name}:{node.name}", body[-1].end_lineno - body[0].lineno + 1 if body else 0))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_has_400_lines_at_most_and_an_audit_200(path: Path) -> None:
    limit = 200 if path in AUDITS else 400
    lines = len(path.read_text().splitlines())
    assert lines <= limit, f"{path.relative_to(ROOT)} has {lines} lines: cut it where it does two things"


def test_functions_stay_small() -> None:
    sizes = [size for path in SOURCES for _, size in _functions(path)]
    assert statistics.median(sizes) <= 10
    assert statistics.quantiles(sizes, n=10)[-1] <= 35


@pytest.mark.parametrize("path", AUDITS, ids=lambda path: path.stem)
def test_an_audit_is_three_files(path: Path) -> None:
    notebooks = [book for book in (ROOT / "notebooks").glob("*.ipynb") if book.stem[3:] == path.stem]
    assert len(notebooks) == 1, f"add notebooks/NN_{path.stem}.ipynb"
    assert (ROOT / f"tests/audits/test_{path.stem}.py").exists(), f"add tests/audits/test_{path.stem}.py"


def test_every_notebook_belongs_to_an_audit_a_mover_or_the_journey() -> None:
    overviews = [entry.name for entry in catalog.discover() if entry.kind == "overview"]
    assert overviews == ["journey"], f"a notebook without a module: {overviews}"


def test_every_finding_kind_is_documented_under_its_audits_name() -> None:
    for entry in catalog.discover():
        if not entry.module:
            continue
        ids = [kind.id for kind in entry.load().KINDS]
        assert len(ids) == len(set(ids)), f"{entry.name}: an id twice in KINDS"
        for kind in entry.load().KINDS:
            assert kind.id.startswith(f"{entry.name}/"), f"{kind.id} belongs to {entry.name}: name it {entry.name}/..."
            assert len(kind.why) > 20, f"{kind.id}: say why it matters, to a stranger"
            assert len(kind.fix) > 20, f"{kind.id}: say how to fix it, to a stranger"
        assert entry.question.endswith("?"), f"{entry.name}: QUESTION is asked with a question mark"


def test_import_workbench_is_light() -> None:
    heavy = "('pandas', 'numpy', 'torch', 'shap', 'sklearn', 'ibis', 'pydantic')"
    code = f"import sys, workbench; print([name for name in {heavy} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_the_freshness_check_imports_nothing_slow() -> None:
    code = (
        "import sys; from workbench import catalog; catalog.discover(); catalog.kinds();"
        "print([m for m in ('torch', 'shap', 'sklearn', 'fairlearn', 'ibis', 'duckdb', 'plotly') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_the_public_names_are_these() -> None:
    expected = """Evidence Finding Limit Measure Status attribute fairness_table judge lift
        open_data open_migration open_model run_audit score"""
    assert workbench.__all__ == expected.split()
    for name in workbench.__all__:
        assert getattr(workbench, name) is not None


def test_nothing_in_the_repository_names_a_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout: nothing to look through")
    pattern = re.compile(r"""(?<![\w.])/(work|root|farm)/\w""")
    text = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".ipynb", ".j2", ".txt", ".html", ""}
    for name in tracked.stdout.splitlines():
        path = ROOT / name
        if path.suffix in text and path.is_file() and path != Path(__file__):
            assert not pattern.search(path.read_text(errors="replace")), f"{name} holds a path of one machine"
