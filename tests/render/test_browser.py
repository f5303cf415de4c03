"""The pages in a real Chromium, offline: they draw, they print, they run nothing that is not ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from render_samples import HOSTILE, STARTED, bias, hostile, journey

from workbench.evidence import Chart, Finding, Series, Status
from workbench.render import page, report

pytestmark = pytest.mark.browser

Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens HTML in a page whose every request, message, dialog and error is a failure."""
    faults: list[str] = []
    contexts: list[Any] = []

    def go(html: str, hash_: str = "", **options: Any) -> Any:
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
        contexts.append(context)
        opened = context.new_page()
        opened.on(
            "request",
            lambda r: None if r.url.split("#")[0] == file.as_uri() else faults.append(f"request {r.url[:80]}"),
        )
        opened.on("console", lambda m: faults.append(f"console {m.text[:200]}"))
        opened.on("pageerror", lambda e: faults.append(f"error {e}"))
        opened.on("dialog", lambda d: (faults.append(f"dialog {d.message}"), d.dismiss()))
        opened.goto(file.as_uri() + hash_)
        return opened

    yield go
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="module")
def html() -> str:
    found, chapters = journey()
    return report("Credit scoring", found, chapters=chapters, run="14", started=STARTED)


def drawn(opened: Any, n: int) -> None:
    opened.locator(".plot[data-drawn]:has(svg.main-svg)").nth(n - 1).wait_for(state="attached")


def test_six_charts_light_and_dark_on_any_width(visit: Open, html: str) -> None:
    opened = visit(html, color_scheme="light")
    drawn(opened, 6)
    marks = "g.points path, g.trace path, image, g.scatterlayer path"
    for at in range(6):
        plot = opened.locator(".plot").nth(at)
        assert plot.locator(marks).count() > 0, f"chart {at} is empty"
        assert plot.bounding_box()["width"] > 500
    assert opened.locator(".numbers[open]").count() == 0, "the table makes way for its picture"

    tick, paper = (
        "getComputedStyle(document.querySelector('.plot .xtick text')).fill",
        "getComputedStyle(document.body)",
    )
    look = f"[{tick}, {paper}.backgroundColor]"
    light = opened.evaluate(look)
    opened.emulate_media(color_scheme="dark")
    opened.wait_for_timeout(1000)
    assert all(one != other for one, other in zip(light, opened.evaluate(look), strict=True))

    opened.click("#all")
    for width in (1024, 768, 390):
        opened.set_viewport_size({"width": width, "height": 900})
        opened.wait_for_timeout(300)
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"runs over at {width} px"
        assert opened.locator("svg.pair").first.is_visible()


def test_hostile_names_are_text_in_the_page_and_in_the_charts(visit: Open) -> None:
    opened = visit(page(hostile(), run=HOSTILE[0], title=HOSTILE[1]))
    opened.click("#all")
    drawn(opened, 12)
    assert opened.locator("img, iframe, object, embed").count() == 0
    assert opened.locator(".plot svg a, .plot .MathJax").count() == 0
    seen = opened.locator(".plot svg").all_text_contents()
    for name in (HOSTILE[3], HOSTILE[4], HOSTILE[12], HOSTILE[11][:20], HOSTILE[0][:20]):
        assert any(name in text for text in seen), name
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.title() == f"{HOSTILE[1]}: {HOSTILE[0]}"


def test_closed_pages_load_no_plotly_and_open_at_once(visit: Open) -> None:
    rows = [
        Finding(
            id="a/b", subject=str(at), title=f"finding {at}", status=Status.PASS, details=bias().findings[0].details[1:]
        )
        for at in range(10)
    ]
    start = time.perf_counter()
    opened = visit(page(bias().model_copy(update={"findings": tuple(rows)})))
    first = opened.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    assert time.perf_counter() - start < 15
    assert first < 3000  # 0.1 s on an idle machine; this is for a busy one
    opened.wait_for_timeout(200)
    assert opened.evaluate("window.Plotly === undefined")
    opened.locator("details.group > summary").first.click()
    opened.locator("details.f > summary").first.click()
    drawn(opened, 6)
    assert opened.locator(".plot[data-drawn]").count() == 6, "only what is open is drawn"


def test_without_scripts_everything_is_there(visit: Open, html: str) -> None:
    opened = visit(html, java_script_enabled=False)
    assert opened.locator("svg.pair").first.is_visible()
    assert opened.get_by_text("Not ready: 1 thing blocks go-live.").is_visible()
    assert opened.locator("figure table").first.is_visible()
    assert not opened.locator("#all").is_visible()


def test_by_keyboard(visit: Open, html: str) -> None:
    opened = visit(html)
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.textContent") == "Skip to the findings"
    summary = opened.locator("details.f > summary").nth(1)
    summary.focus()
    opened.keyboard.press("Enter")
    assert summary.evaluate("e => e.parentElement.open")


def test_a_link_opens_its_finding(visit: Open, html: str) -> None:
    anchor = html.split("Batches are faster")[0].rsplit('<details class="f" id="', 1)[1].split('"')[0]
    opened = visit(html, f"#{anchor}")
    opened.locator(f"#{anchor}[open]").wait_for()


def test_paper_holds_everything(visit: Open, html: str) -> None:
    opened = visit(html, "#print")
    opened.wait_for_selector(":root.ready")
    assert opened.locator("details.f:not([open]), details.group:not([open])").count() == 0
    assert opened.pdf(format="A4").startswith(b"%PDF")


def test_a_chart_without_numbers_breaks_nothing(visit: Open) -> None:
    kinds = ("bar", "line", "scatter", "interval", "heat", "hist")
    empty = tuple(Chart(kind=k, title=k, x="x", y="y", series=(Series(name="a", x=(), y=()),)) for k in kinds)
    finding = Finding(id="a/b", title="t", status=Status.FAIL, details=empty)
    drawn(visit(page(bias().model_copy(update={"findings": (finding,)}))), 6)


def test_accessible(visit: Open, html: str) -> None:
    """axe-core's rules (WCAG 2.2 A and AA among them), everything open, light and dark."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    opened = visit(html, bypass_csp=True)
    opened.click("#all")
    drawn(opened, 6)
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        found = axe.Axe().run(opened).response["violations"]
        assert [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found] == []
