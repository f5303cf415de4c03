"""What a reviewer will see: the pages of `workbench review`, drawn by its own code from stored evidence, for looking.

In JupyterLab a page stands in a sandbox that has no origin: what it fetched would come without the person's cookie. So
a click on a link of ours is told to the frame's owner, which opens the page; in a browser tab the link is a link.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from workbench import render
from workbench.migration import open_migration
from workbench.ui.review.reading import Pages
from workbench.ui.server.desk import Desk
from workbench.ui.server.problems import ApiError
from workbench.ui.server.rooted import shown

LINKS = (("", "Evidence"), ("cases", "Cases"), ("decide", "Decide"))
NOTE = "Preview: this is what a reviewer sees."
ASIDE = {
    "cases": (
        "Cases",
        "Here each reviewer judges the sampled cases, one by one and blind: which model is which is not told.",
        "They are drawn for the person who logs in, so nobody can look at them beforehand, and neither can you.",
    ),
    "decide": (
        "Your decision",
        "Here the people named in migration.yaml approve, approve with conditions, or reject, each in their own name.",
        "What they sign is the evidence as it is shown here, by its fingerprints.",
    ),
}
HOW = "`workbench review` serves these pages to the people you invite."
FOLLOW = """
addEventListener("click", event => {
  const link = event.target.closest && event.target.closest("a[href]");
  const root = ROOT;
  if (parent !== window && link && link.getAttribute("href").startsWith(root)) {
    event.preventDefault();
    parent.postMessage({ preview: link.getAttribute("href").slice(root.length) }, "*");
  }
});
"""


def evidence(desk: Desk, folder: Path, root: str) -> str:
    """The first page. root: address of the preview, ends with "/"."""
    return _followed(_pages(desk, folder).journey(_bar(folder, root, "")), root)


def notebook(desk: Desk, folder: Path, root: str, audit: str) -> str:
    """The page of one audit. Raises ApiError where there is nothing of it yet."""
    page = _pages(desk, folder).notebook(audit, _bar(folder, root, f"notebook/{audit}"))
    if page is None:
        raise ApiError(404, "A reviewer would see nothing of this yet.", shown(audit), "Run it first.")
    return _followed(page, root)


def aside(folder: Path, root: str, page: str) -> str:
    """What stands where people judge and decide: they alone do."""
    title, *told = ASIDE[page]
    return _followed(render.notice(_bar(folder, root, page), title, [*told, HOW]), root)


def _pages(desk: Desk, folder: Path) -> Pages:
    return desk.previews.setdefault(folder, Pages(folder))


def _bar(folder: Path, root: str, here: str) -> render.Bar:
    return render.Bar(root, open_migration(folder).name, links=LINKS, here=here, note=NOTE)


def _followed(page: str, root: str) -> str:
    """The page with the one script that tells of a click, allowed by its hash."""
    # The address is made of the server's base URL and a hexadecimal id; it is quoted all the same.
    script = FOLLOW.replace("ROOT", _quoted(root))
    digest = f"&#39;sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}&#39;"
    head, policy, rest = page.partition('http-equiv="Content-Security-Policy" content="')
    allowed, quote, body = rest.partition('"')
    scripts = "script-src "
    if scripts in allowed:
        allowed = allowed.replace(scripts, f"{scripts}{digest} ", 1)
    else:
        allowed = f"{scripts}{digest}; {allowed}"
    before, end, after = body.rpartition("</body>")
    return f"{head}{policy}{allowed}{quote}{before}<script>{script}</script>{end}{after}"


def _quoted(text: str) -> str:
    """As a string in a script: nothing in it can end the string or the script."""
    return json.dumps(text).replace("<", "\\u003c")
