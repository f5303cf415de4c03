"""Evidence as lines, and as CSV."""

from __future__ import annotations

import csv
import io
import unicodedata

from render_samples import HOSTILE, bias, hostile, journey

from workbench.evidence import Finding, Status
from workbench.render import findings_csv, lines, marked
from workbench.render.export import inert


def test_lines_say_verdict_status_number_and_owner() -> None:
    text = "\n".join(lines(bias()))
    assert "Not ready: 1 thing blocks go-live" in text
    assert "blocks go-live: Women who would repay" in text
    assert "+0.040 (0.021 to 0.059), limit 0.02, Risk policy 4.2; legacy 0.027, candidate 0.067" in text
    assert "31 rows, 200 needed" in text
    assert "1 of 2 limits is still a default" in text


def test_each_status_is_a_word_not_only_a_colour() -> None:
    found, _ = journey()
    for one in found:
        starts = [line for line in marked(one) if line.status][1:]
        assert len(starts) == len(one.findings)
        assert all(": " in line.text for line in starts)


def test_a_terminal_sees_no_control_characters() -> None:
    for line in lines(hostile(), full=True):
        assert not {unicodedata.category(char) for char in line} & {"Cc", "Zl", "Zp"}, repr(line)
        assert "\u202e" not in line


def test_spreadsheets_run_nothing() -> None:
    rows = list(csv.reader(io.StringIO(findings_csv([hostile()]))))
    assert len(rows) == len(hostile().findings) + 1
    assert not any(cell.lstrip().startswith(("=", "+", "@", "\t", "\r")) for row in rows[1:] for cell in row)
    for text in ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "\uff1d1"):
        assert str(inert(text)).startswith("'")
    assert inert(-0.5) == -0.5
    assert inert("plain") == "plain"


def test_numbers_in_csv_read_back() -> None:
    rows = list(csv.DictReader(io.StringIO(findings_csv([bias()]))))
    assert rows[0]["id"] == "bias/equal-opportunity-gap"
    assert float(rows[0]["change"]) == 0.040
    assert rows[0]["set_by"] == "Risk policy 4.2"


def test_an_empty_finding_is_a_line() -> None:
    finding = Finding(id="a/b", title="", status=Status.ABSENT)
    assert lines(bias().model_copy(update={"findings": (finding,)}))[-1].endswith("(empty)")
    assert HOSTILE[8] == ""
