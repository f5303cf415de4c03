"""Reports and pages: complete, worst first, offline, small, and honest about what is missing."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from render_samples import HOSTILE, STARTED, bias, evidence, hostile, journey, parity

from workbench.evidence import Evidence, Finding, Limit, Measure, Status, Table, Text
from workbench.render import Chapter, page, report, words
from workbench.render.pages import headline

VOID = {"meta", "br", "circle", "path", "line", "rect", "img", "link", "input", "hr"}


class Outline(HTMLParser):
    """Tags, attributes and visible text of a page; complains of a tag left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] not in ("script", "style"):
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def journey_report() -> str:
    found, chapters = journey()
    return report("Credit scoring", found, chapters=chapters, run="14", started=STARTED)


@pytest.fixture(scope="module")
def html() -> str:
    return journey_report()


def test_worst_comes_first_and_nothing_is_left_out(html: str) -> None:
    groups = re.findall(r"<h2>([^<]+)</h2><span class=\"faint\">(\d+) of (\d+)</span>", html)
    names = [name for name, _, _ in groups]
    order = ("Blocks go-live", "Broke", "Not assessed", "Needs a person", "Warnings", "Passed", "For information")
    assert names == list(order)
    found, _ = journey()
    # One question of the sample journey has no evidence, and is a row of its own.
    assert sum(int(n) for _, n, _ in groups) == sum(len(one.findings) for one in found) + 1
    assert all(shown == total for _, shown, total in groups)


def test_every_finding_says_number_interval_limit_and_owner(html: str) -> None:
    text = Outline(html).text.replace(words.SPACE, " ")
    for said in (
        "+0.040",
        "0.021 to 0.059",
        "limit 0.02, Risk policy 4.2",
        "8.7 ms",
        "7.6 to 10.3 ms",
        "limit 10 ms, Ops SLO 12",
    ):
        assert said in text
    assert "Why it matters." in text
    assert "How to fix." in text
    assert "bias/equal-opportunity-gap[sex]" in text


def test_chapters_without_evidence_are_not_assessed(html: str) -> None:
    strip = html[html.index('<ol class="chapters">') : html.index("</ol>")]
    cells = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", cell)).strip() for cell in strip.split("<li>")[1:]]
    assert len(cells) == 6
    assert cells[0] == "1 Plan not assessed no evidence yet"
    assert cells[2].startswith("3 Platform not assessed")
    assert "1 not assessed" in cells[3], "one of the chapter's two questions has not run"
    assert cells[4].startswith("5 Trust 1 blocks")


def test_ready_is_never_said_while_a_question_is_open() -> None:
    ready = parity()
    assert headline(ready.verdict)[0].startswith("Ready:")
    assert headline(ready.verdict, gaps=1)[0].startswith("Ready so far:")
    assert "1 question without an answer" in headline(ready.verdict, gaps=1)[1]
    chapters = [Chapter(4, "Model", (("parity", "?", ready), ("compatibility", "Can it?", None)))]
    shown = Outline(
        report("t", [ready], chapters=chapters, missing={"compatibility": "the kernel died in cell 3"})
    ).text
    assert "Ready so far" in shown
    assert "the kernel died in cell 3" in shown


def test_no_evidence_at_all_is_said() -> None:
    text = Outline(report("t", [])).text
    assert "Not assessed." in text
    assert "nothing has been assessed" in text


def test_limits_nobody_agreed_to_are_counted(html: str) -> None:
    assert "13 of 17 limits are still defaults: nobody in your team has agreed to them" in Outline(html).text


def test_what_it_rests_on(html: str) -> None:
    text = Outline(html).text
    assert "3f9a" * 16 in text
    assert "torch 2.13.0" in text
    assert "run 14" in text


def test_two_environments_are_both_named() -> None:
    one = bias()
    other = one.model_copy(update={"environment": {"torch": "2.12.0"}, "audit": "parity"})
    assert "2.13.0 / 2.12.0" in Outline(report("t", [one, other])).text


def test_only_our_scripts_may_run_and_nothing_is_fetched(html: str) -> None:
    """The policy's hashes are those of the scripts in the page, and no attribute names another place."""
    policy = (
        next(attrs["content"] for tag, attrs in Outline(html).tags if "Content-Security-Policy" in str(attrs)) or ""
    )
    script = html.rsplit("<script>", 1)[1].split("</script>", 1)[0]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    links = [
        value for _, attrs in Outline(html).tags for key, value in attrs.items() if key in ("src", "href", "srcset")
    ]
    assert all(str(link).startswith("#") for link in links)


def test_plotly_is_there_once_and_only_for_charts(html: str) -> None:
    assert html.count('id="plotly"') == 1
    assert len(html.encode()) < 6_000_000
    without = page(parity())
    assert 'id="plotly"' not in without
    assert len(without.encode()) < 200_000


def test_the_same_evidence_is_the_same_page() -> None:
    assert journey_report() == journey_report()


def test_a_hundred_findings_stay_small() -> None:
    found = [parity().model_copy(update={"audit": f"audit_{at}"}) for at in range(9)]
    assert len(report("t", found).encode()) < 300_000


def test_anchors_are_distinct_and_links_lead_somewhere(html: str) -> None:
    ids = [attrs["id"] for _, attrs in Outline(html).tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {str(attrs["href"])[1:] for tag, attrs in Outline(html).tags if tag == "a"} <= set(ids)


def test_hostile_texts_stay_text() -> None:
    """The page of hostile evidence has the tags of any page, and shows each text as it is."""
    html = page(hostile(), run=HOSTILE[0], title=HOSTILE[1])
    outline = Outline(html)
    assert {"img", "b"} & {tag for tag, _ in outline.tags} <= {"b"}
    assert sum(tag == "script" for tag, _ in outline.tags) == 2 + html.count('<script type="application/json">')
    assert not any(key.startswith("on") for _, attrs in outline.tags for key in attrs)
    for name in (HOSTILE[0], HOSTILE[1], HOSTILE[3], HOSTILE[4], HOSTILE[9]):
        assert name in outline.text


def test_a_long_table_is_cut_and_says_so() -> None:
    table = Table(title="t", columns=("a",), rows=tuple((at,) for at in range(5000)))
    finding = Finding(id="a/b", title="t", status=Status.INFO, details=(table,))
    html = page(evidence("a", "?", finding))
    assert "200 of 5,000 rows" in Outline(html).text
    assert html.count("<tr>") < 210


def test_fix_shows_commands_as_blocks() -> None:
    fix = "Run `it` again:\n$ workbench run credit\nor\n```python\nopen_migration('x')\n```"
    finding = Finding(
        id="a/b", title="t", status=Status.WARN, fix=fix, legacy=Measure(value=1), limit=Limit(value=1, better="lower")
    )
    html = page(evidence("a", "?", finding))
    assert "<code>it</code>" in html
    assert "<pre>workbench run credit</pre>" in html
    assert "<pre>open_migration(&#39;x&#39;)</pre>" in html


def test_a_fix_that_is_code_is_said_once_and_as_code() -> None:
    fix = "frame = frame.drop(columns=['email'])"
    details = (Text(title="A fix in pandas", text=fix, code=True),)
    html = page(evidence("a", "?", Finding(id="a/b", title="t", status=Status.WARN, fix=fix, details=details)))
    assert html.count("frame = frame.drop") == 1
    assert "<pre>frame = frame.drop" in html


def test_drawing_waits_for_nothing_heavy() -> None:
    """The command line imports words and text: neither templates nor charts may come with them."""
    heavy = ("jinja2", "plotly", "pandas", "IPython", "numpy")
    code = f"import sys, workbench.render; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_evidence_of_nothing() -> None:
    empty = Evidence(audit="a", migration="m", started=STARTED, seconds=0, findings=())
    assert "Not assessed." in Outline(page(empty)).text
