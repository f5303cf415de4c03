"""What notebooks use: stored evidence while it holds, forms that write back, dashboards that compute nothing."""

from __future__ import annotations

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


class Kinds(audit.Params):
    tick: bool = Field(True, description="a tick")
    share: float = Field(0.5, ge=0, le=1, description="a share")
    way: Literal["a", "b"] = Field("a", description="a way")
    names: tuple[str, ...] = Field(("x",), description="names")
    batches: tuple[int, ...] = Field((1, 10), description="sizes")
    maybe: float | None = Field(None, description="perhaps a number")
    text: str = Field("hello", description="words")


@pytest.mark.parametrize(
    ("name", "widget"),
    [
        ("tick", ipywidgets.Checkbox), ("share", ipywidgets.BoundedFloatText), ("way", ipywidgets.Dropdown),
        ("names", ipywidgets.TagsInput), ("batches", ipywidgets.TagsInput), ("maybe", ipywidgets.Text),
        ("text", ipywidgets.Text),
    ],
)  # fmt: skip
def test_a_widget_for_every_kind_of_parameter(name: str, widget: type) -> None:
    values = Kinds()
    assert type(forms._control(name, Kinds.model_fields[name], getattr(values, name))) is widget


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
