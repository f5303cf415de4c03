"""Evidence as JupyterLab gets it: the report's words, every detail in its place, figures of nobody's page."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from workbench.evidence import Chart, Evidence, File, Finding, Limit, Measure, Series, Status, Table, Text
from workbench.render import words
from workbench.ui.server import layout


def chart(title: str, name: str) -> Chart:
    return Chart(kind="bar", title=title, x="group", y="share", series=(Series(name=name, x=("a",), y=(0.5,)),))


FAIL = Finding(
    id="bias/gap", subject="<b>sex</b>", title="Gap", status=Status.FAIL, why="It matters.", fix="workbench show",
    change=Measure(value=0.04, low=0.02, high=0.06, unit="share", n=9), judged="change",
    limit=Limit(value=0.01, better="lower", set_by="Ada"),
    details=(
        chart("First", "one"), Table(title="Rows", columns=("a", "b"), rows=(("x", 1.5), ("y", None))),
        Text(text="workbench show", code=True), chart("Second", "two"), Text(title="Note", text="See `x`."),
        File(title="rows", path="rows.csv", sha256="0" * 64),
    ),
)  # fmt: skip
PASS = Finding(id="bias/other", title="Other", status=Status.PASS)
EVIDENCE = Evidence(
    audit="bias",
    question="Fair?",
    migration="m",
    started=datetime(2026, 1, 1, tzinfo=UTC),
    seconds=1,
    findings=(PASS, FAIL),
)


def test_groups_worst_first_each_detail_with_its_own_chart() -> None:
    first, last = layout.groups(EVIDENCE)
    assert (first["status"], first["total"], last["status"]) == ("fail", 1, "pass")
    row = first["rows"][0]
    assert (row["key"], row["id"]) == ("bias/gap[<b>sex</b>]", "bias/gap")
    assert (row["number"], row["limit"]) == (words.shown(FAIL), words.limit(FAIL.limit, "share", words.is_change(FAIL)))
    # The text that says the fix again is left out; the charts keep their order.
    assert [detail["type"] for detail in row["details"]] == ["chart", "table", "chart", "text", "file"]
    charts = [detail["figure"]["data"][0]["name"] for detail in row["details"] if detail["type"] == "chart"]
    assert charts == ["one", "two"]
    told = json.dumps(first)
    assert "var(--" not in told
    assert layout.row(FAIL, "bias") == row
