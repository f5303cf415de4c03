"""A reviewer in a real browser: from the link to a decision that is in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench import ledger
from workbench.ui.review.people import People

pytestmark = pytest.mark.browser


def axe(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in Axe().run(page).response["violations"]]


def test_from_the_link_to_a_decision_in_few_clicks(browser: Any, folder: Path, served: Callable[..., str]) -> None:
    link = f"{served()}/invite/{People(folder).invite('ada')}"
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 844})
        page, wrong, clicks = context.new_page(), [], 0
        page.on("console", lambda message, told=wrong: told.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error, told=wrong: told.append(str(error)))
        if scheme == "dark":
            link = f"{link.rsplit('/', 1)[0]}/{People(folder).invite('bob')}"
        page.goto(link)
        assert axe(page) == []

        def click(what: str, page: Any = page) -> None:
            nonlocal clicks
            page.click(what)
            clicks += 1
            body = page.inner_text("body")
            for hidden in ("Traceback", "from workbench", str(folder)):
                assert hidden not in body, hidden

        click("text=Start the review")
        assert page.locator("h1").inner_text().startswith("Ready so far")
        assert axe(page) == []
        click(".step a")
        assert axe(page) == []
        click("nav >> text=Decide")
        assert axe(page) == []
        click("text=What I saw is good enough")
        click("text=Sign the decision")
        assert "Signed, as entry" in page.locator("[role=status]").inner_text()
        assert clicks <= 10
        assert wrong == []
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        context.close()
    assert [entry.body.kind for entry in ledger.read(folder).entries[-2:]] == ["decide", "decide"]
