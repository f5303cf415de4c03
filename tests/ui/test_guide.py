"""What notebooks use: stored evidence while it holds, forms that write back, dashboards that compute nothing."""

from __future__ import annotations

import enum
import json
import re
from pathlib import Path
from typing import Any, Literal

import ipywidgets
import nbconvert
import pytest
from pydantic import Field

from tests.ui.conftest import bias_evidence
from workbench import audit, catalog, store
from workbench.evidence import Evidence
from workbench.migration import MigrationError, open_migration
from workbench.ui import form as forms
from workbench.ui.guide import NothingStoredError, guide, journey
from workbench.ui.listing import Listing


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the audits that were computed; computing itself is replaced by known evidence."""
    computed: list[str] = []

    def run(migration: Any, name: str, params: Any, stored: Any, artifacts: Any) -> Evidence:
        computed.append(name)
        evidence = bias_evidence(migration.folder)
        return evidence.model_copy(update={"key": catalog.key(migration, name, params)})

    monkeypatch.setattr("workbench.catalog.run", run)
    return computed


def test_evidence_is_computed_once_stored_as_a_run_and_then_read(
    migration: Path, counted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = guide("bias", migration).run()
    again = guide("bias", migration).run()
    assert (counted, again) == (["bias"], first)
    assert "Nothing it depends on has changed" in capsys.readouterr().out
    [run] = store.runs(migration)
    assert (run.state, store.verify(run.folder)) == ("done", ())


def test_a_changed_choice_is_computed_again(migration: Path, counted: list[str]) -> None:
    guide("bias", migration).run()
    audit = guide("bias", migration)
    assert audit.form().set("min_group", 60)
    audit.run()
    assert counted == ["bias", "bias"]


def test_headless_the_evidence_goes_to_its_place(
    migration: Path, counted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_PLACE", str(tmp_path))
    evidence = guide("bias", migration).run()
    assert store.read_evidence(tmp_path / store.EVIDENCE) == evidence
    assert store.runs(migration) == (), "the runner seals it, not the notebook"


def test_a_dashboard_shows_what_is_stored_and_computes_nothing(
    judged: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5")
    path = judged / "migration.yaml"
    path.write_text(path.read_text().replace("min_group: 40", "min_group: 60"))
    shown = guide("bias", judged)
    assert shown.run() == bias_evidence(judged).model_copy(update={"key": shown.run().key})
    assert not shown.form().interactive
    with pytest.raises(NothingStoredError, match="workbench run"):
        guide("parity", judged).run()
    assert counted == []


def test_a_notebook_stored_in_a_run_finds_its_migration(judged: Path) -> None:
    stored = store.latest(judged, "bias")
    assert stored is not None
    assert guide("bias", stored.folder).folder == judged.resolve()


def test_errors_of_people_are_sentences(migration: Path, tmp_path: Path) -> None:
    with pytest.raises(catalog.CatalogError, match="did you mean 'bias'"):
        guide("bais", migration)
    with pytest.raises(catalog.CatalogError, match="did you mean 'min_group'"):
        guide("bias", migration, {"min_groups": 3})
    with pytest.raises(MigrationError, match="workbench new"):
        guide("bias", tmp_path / "nowhere")
    with pytest.raises(catalog.CatalogError, match="in quotes"):
        guide("bias", None)  # type: ignore[arg-type]
    with pytest.raises(catalog.CatalogError, match="in braces"):
        guide("bias", migration, ["seed"])  # type: ignore[arg-type]


def test_in_a_cell_sentences_have_no_traceback_and_other_errors_keep_theirs(
    migration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shell = InteractiveShell.instance(colors="nocolor")
    cells = {
        "from workbench.ui.guide import guide\nguide('bias', FOLDER, {'min_group': 'many'})": "min_group",
        "guide('bias', '/nowhere')": "workbench new",
        "from workbench import open_model\nopen_model('gone.joblib')": "there is no model file gone.joblib",
        "from workbench import open_data\nopen_data('gone.csv')": "gone.csv",
        "audit.show(evidence)": "There is no `audit` yet: a cell above makes it",
    }
    shell.user_ns["FOLDER"] = str(migration)
    try:
        for code, said in cells.items():
            with capture_output() as told:
                shell.run_cell(code)
            assert said in told.stdout + told.stderr
            assert "Traceback" not in told.stdout + told.stderr
        with capture_output() as told:
            shell.run_cell("something_of_my_own + 1")
        assert "Traceback" in told.stdout + told.stderr
    finally:
        InteractiveShell.clear_instance()


# ------------------------------------------------------------------------------------- what cells show


def test_tables_and_charts_of_a_finding(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = guide("bias", judged)
    evidence = one.run()
    frame = one.table(evidence, "bias/selection-rate-gap")
    assert list(frame.columns) == ["group", "rate"]
    assert "&lt;b&gt;m&lt;/b&gt;" in frame._repr_html_()
    assert one.table(evidence, "bias/selection-rate-gap[sex]", 1).empty
    assert one.findings(evidence).loc[0, "low"] == 0.08
    one.charts(evidence, "bias/order")
    assert "nothing to draw" in capsys.readouterr().out
    one.tables(evidence, "bias/order")
    assert "no table here" in capsys.readouterr().out
    assert "Women are selected less often" in repr(one.show(evidence))
    [pair] = one.pairs(evidence).table.rows
    assert pair[0] == "bias/selection-rate-gap[sex]"
    assert pair[3:5] == ("+0.100", "0.080 to 0.120")


def test_a_listing_keeps_text_text(judged: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)>$\\frac{1}{2}$|`[a](javascript:alert(1))"
    listing = Listing.of(("column", "share"), [{"column": hostile, "share": 0.25}])
    html = nbconvert.filters.markdown2html(listing._repr_mimebundle_()["text/markdown"])
    for shown in (html, Listing(listing.table)._repr_mimebundle_()["text/html"]):
        assert not {"img", "a", "script"} & set(re.findall(r"<(\w+)", shown))
        assert "onerror=alert" in shown, "it is there, as text"
    assert html.count("<td>") == 2, "a bar makes no column"
    assert hostile in repr(listing)
    assert repr(Listing.of(("a",), [])) == "Nothing."


def test_the_journey_shows_itself_as_markdown_and_tables(judged: Path) -> None:
    standing = journey(judged)
    shown = standing._repr_mimebundle_()
    assert "| 5 Trust | ✗ blocks go-live |" in shown["text/markdown"]
    assert "Not ready" in shown["text/plain"]
    assert str(judged) not in json.dumps(shown), "a stored notebook names no machine"
    rows = {row[0]: dict(zip(standing.table().table.columns, row, strict=True)) for row in standing.table().table.rows}
    assert rows["51_bias"]["fresh"] is True
    assert rows["44_parity"]["status"] == "○ not assessed"
    [blocking] = standing.blocking_table().table.rows
    assert blocking[0] == "bias/selection-rate-gap[sex]"
    assert "Risk policy 4.2" in str(blocking[3])
    assert "`workbench run .` in the folder of migration.yaml" in standing.next, "who reads it may be elsewhere"


# ------------------------------------------------------------------------------------- the form


def test_a_choice_is_written_to_the_file_and_its_comments_stay(migration: Path) -> None:
    form = guide("bias", migration).form()
    assert form.set("min_group", 25)
    text = (migration / "migration.yaml").read_text()
    assert "min_group: 25" in text
    assert "# agreed with the works council" in text
    assert open_migration(migration).audits["bias"] == {"min_group": 25}


def test_an_impossible_choice_is_refused_in_words_and_nothing_is_written(migration: Path) -> None:
    before = (migration / "migration.yaml").read_text()
    form = guide("bias", migration).form()
    assert not form.set("min_group", 1)
    assert "min_group" in form.problem
    assert (migration / "migration.yaml").read_text() == before


def test_the_widgets_fit_the_types_and_carry_the_meaning(migration: Path) -> None:
    form = guide("bias", migration).form()
    rows = form.widget().children[:-1]
    controls = {row.children[0].description: row.children[0] for row in rows}
    assert set(controls) == set(catalog.entry("bias").load().Params.model_fields)
    assert isinstance(controls["min_group"], ipywidgets.BoundedIntText)
    assert (controls["min_group"].value, controls["min_group"].min) == (40, 10)
    assert all(row.children[1].value for row in rows), "every parameter says what it does"
    controls["min_group"].value = 30
    assert open_migration(migration).audits["bias"]["min_group"] == 30
    assert form.widget().children[0].children[0].value == 30


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Inner(audit.Params):
    depth: int = 3


class Kinds(audit.Params):
    tick: bool = Field(True, description="a tick")
    open: bool | None = Field(None, description="yes, no, or nobody has said")
    share: float = Field(0.5, ge=0, le=1, description="a share")
    large: int = Field(5 * 10**9, description="beyond the widget's own bounds")
    way: Literal["a", "b"] = Field("a", description="a way")
    any_way: Literal["a", "b"] | None = Field(None, description="a way, or none")
    size: Size = Field(Size.SMALL, description="a size")
    names: tuple[str, ...] = Field(("x",), description="names")
    ways: tuple[Literal["a", "b"], ...] = Field(("a",), description="some of the ways")
    batches: tuple[int, ...] = Field((1, 10), description="sizes")
    edges: list[float] | None = Field(None, description="where bands begin")
    maybe: float | None = Field(None, description="perhaps a number")
    chosen: int | None = Field(7, description="a number that can be taken back")
    text: str = Field("hello", description="words")
    inner: Inner = Field(Inner(), description="parameters of its own")
    weights: dict[str, float] = Field({"a": 0.5}, description="by name")


WIDGETS = {
    "tick": ipywidgets.Checkbox, "open": ipywidgets.Dropdown, "share": ipywidgets.BoundedFloatText,
    "large": ipywidgets.BoundedIntText, "way": ipywidgets.Dropdown, "any_way": ipywidgets.Dropdown,
    "size": ipywidgets.Dropdown, "names": ipywidgets.TagsInput, "ways": ipywidgets.TagsInput,
    "batches": ipywidgets.TagsInput, "edges": ipywidgets.TagsInput, "maybe": ipywidgets.Text,
    "chosen": ipywidgets.Text, "text": ipywidgets.Text, "inner": ipywidgets.Textarea, "weights": ipywidgets.Textarea,
}  # fmt: skip


@pytest.mark.parametrize("name", Kinds.model_fields)
def test_a_widget_for_every_kind_of_parameter(name: str) -> None:
    field, values = Kinds.model_fields[name], Kinds()
    control = forms._control(name, field, getattr(values, name))
    assert type(control) is WIDGETS[name]
    again = Kinds(**{name: forms._meant(field, control.value)})
    assert again == values or (name == "edges" and again.edges == []), "what it shows is what it means"


@pytest.mark.parametrize(
    ("name", "typed", "written"),
    [
        ("open", False, False), ("open", None, None), ("large", 6, 6), ("any_way", "b", "b"), ("any_way", None, None),
        ("size", Size.LARGE, "large"), ("ways", ["b", "a"], ["b", "a"]), ("edges", ["1.5", "2"], [1.5, 2.0]),
        ("chosen", "", None), ("chosen", "9", 9), ("inner", "depth: 5", {"depth": 5}),
        ("weights", "{b: 1}", {"b": 1.0}),
        ("names", [], []), ("text", "", ""),
    ],
)  # fmt: skip
def test_every_kind_is_written_back_with_its_comments(
    migration: Path, monkeypatch: pytest.MonkeyPatch, name: str, typed: object, written: object
) -> None:
    monkeypatch.setattr(catalog.entry("bias").load(), "Params", Kinds)
    path = migration / "migration.yaml"
    path.write_text(
        path.read_text().replace("{min_group: 40}", f"\n    # why it is so\n    {name}: {KEPT.get(name, 'null')}")
    )
    form = guide("bias", migration).form()
    assert form.set(name, typed), form.problem
    assert open_migration(migration).audits["bias"] == {name: written}
    assert getattr(guide("bias", migration).form().values, name) == getattr(Kinds(**{name: written}), name)
    text = path.read_text()
    assert "# why it is so" in text
    assert "# agreed with the works council" in text


KEPT = {
    "large": 5, "size": "small", "ways": "[a]", "inner": "{depth: 4}", "weights": "{a: 2}", "names": "[x, y]",
    "text": "hello", "chosen": 8,
}  # fmt: skip
"""What stands in the file before."""


@pytest.mark.parametrize(("name", "typed"), [("weights", "{a: ["), ("inner", "depth: deep"), ("size", "huge")])
def test_what_cannot_be_meant_is_refused_in_words(
    migration: Path, monkeypatch: pytest.MonkeyPatch, name: str, typed: str
) -> None:
    monkeypatch.setattr(catalog.entry("bias").load(), "Params", Kinds)
    path = migration / "migration.yaml"
    path.write_text(path.read_text().replace("min_group: 40", "tick: true"))
    before, form = path.read_text(), guide("bias", migration).form()
    assert not form.set(name, typed)
    assert form.problem.startswith("Not written: ")
    assert path.read_text() == before


def test_what_the_parameters_cell_gives_is_not_changed_behind_its_back(migration: Path) -> None:
    before = (migration / "migration.yaml").read_text()
    form = guide("bias", migration, {"min_group": 45}).form()
    control = form.widget().children[0].children[0]
    control.value = 50
    assert "given in the parameters cell" in form.problem
    assert (migration / "migration.yaml").read_text() == before


@pytest.mark.parametrize(
    ("name", "typed", "written"),
    [("batches", ["100", "1000"], [100, 1000]), ("price_per_hour", "2.5", 2.5), ("price_per_hour", "", None)],
)
def test_what_a_widget_gives_is_written_as_what_it_means(
    migration: Path, name: str, typed: object, written: object
) -> None:
    assert guide("benchmark", migration).form().set(name, typed)
    assert open_migration(migration).audits["benchmark"] == {name: written}


def test_without_a_person_the_form_is_text(migration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_PLACE", str(migration))
    form = guide("bias", migration).form()
    assert not form.interactive
    assert "| `min_group` | `40` |" in form._repr_markdown_()
    assert "min_group = 40" in repr(form)
