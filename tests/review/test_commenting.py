"""Comments: drafts are private, what is shared is read by those who have judged for themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_judging import answer, case, sampled
from visitor import Visitor, come_in

from workbench import uat
from workbench.ui.review.commenting import MOST

pytestmark = pytest.mark.slow

__all__ = ["sampled"]
HOSTILE = "<script>alert(1)</script> =cmd|' /C calc'!A0 \u202e"


@pytest.fixture
def people(sampled: Path, served: Callable[..., str]) -> dict[str, Visitor]:
    """Ada and Bob, who judge two cases, and Mallory, who is named nowhere."""
    uat.write_cases(next((sampled / "reports").glob("*/62_acceptance")), [case(n, 0.2, 0.9) for n in range(2)])
    address, found = served(), {}
    for login in ("ada", "bob", "mallory"):
        found[login] = Visitor(address)
        come_in(found[login], sampled, login)
    return found


def remark(visitor: Visitor, text: str, how: str = "share", about: str = "notebook/bias", number: str = "") -> int:
    assert visitor.ask("GET", "/comments") == 200
    form = {"_xsrf": visitor.field("_xsrf"), "text": text, "how": how, "about": about, "id": number}
    return visitor.ask("POST", "/comments", form)


def reads(visitor: Visitor) -> str:
    assert visitor.ask("GET", "/comments") == 200
    return visitor.page


def test_a_draft_is_its_authors_alone_until_it_is_shared(people: dict[str, Visitor], sampled: Path) -> None:
    ada, bob = people["ada"], people["bob"]
    for number in (1, 2):
        answer(bob, number, "unsure")
    assert remark(ada, "half a thought", "draft") == 303
    assert "half a thought" in reads(ada)
    assert "draft, only you see it" in ada.page
    assert "half a thought" not in reads(bob)
    number = uat.comments(sampled)[0].id
    assert remark(bob, "mine now", "share", number=number) == 409
    assert remark(ada, "a whole thought", "share", number=number) == 303
    assert "a whole thought" in reads(bob)
    assert "ada" in bob.page
    assert remark(ada, "", "share", number=number) == 303
    assert uat.comments(sampled) == ()
    assert "a whole thought" not in reads(bob)


def test_others_comments_wait_until_one_has_judged(people: dict[str, Visitor], sampled: Path) -> None:
    ada, bob = people["ada"], people["bob"]
    first = uat.read_cases(next((sampled / "reports").glob("*/62_acceptance")) / uat.CASES)[0].id
    remark(ada, "about the whole")
    remark(ada, "about the first case", about=f"case/{first}")
    assert "about the" not in reads(bob)
    assert "2 cases to go" in bob.page
    answer(bob, 1, "both")
    assert "about the first case" in reads(bob)
    assert "about the whole" not in bob.page
    answer(bob, 2, "both")
    assert "about the whole" in reads(bob)
    assert "about the" not in reads(people["mallory"])


def test_the_page_of_acceptance_waits_until_one_has_judged(people: dict[str, Visitor]) -> None:
    """It shows what others said: nobody reads it before they have said it themselves."""
    bob = people["bob"]
    for path in ("/notebook/acceptance", "/explore/acceptance", "/explore/acceptance/live"):
        assert bob.ask("GET", path) == 200
        assert "Your cases come first" in bob.page
    for number in (1, 2):
        answer(bob, number, "both")
    assert bob.ask("GET", "/notebook/acceptance") == 200
    assert "Your cases come first" not in bob.page
    assert bob.ask("GET", "/notebook/bias") == 200


def test_who_is_not_named_and_what_is_not_there_is_refused(people: dict[str, Visitor], sampled: Path) -> None:
    assert remark(people["mallory"], "hello") == 409
    assert remark(people["ada"], "hello", about="finding/nothing") == 409
    assert remark(people["ada"], "  ") == 409
    assert remark(people["ada"], "x" * 4001) == 409
    assert remark(people["ada"], "hello", about="finding/bias/selection-rate-gap[sex]") == 303
    assert [one.about for one in uat.comments(sampled)] == ["finding/bias/selection-rate-gap[sex]"]
    assert MOST > 100


def test_a_comment_stays_text_and_strangers_write_none(
    people: dict[str, Visitor],
    sampled: Path,
    served: Callable[..., str],
) -> None:
    remark(people["ada"], HOSTILE)
    assert "<script>alert" not in reads(people["ada"])
    assert "&lt;script&gt;alert" in people["ada"].page
    stranger = Visitor(served())
    assert stranger.ask("GET", "/comments") == 302
    assert stranger.ask("POST", "/comments", {"text": "x", "how": "share"}) == 403
    assert people["ada"].ask("POST", "/comments", {"text": "x", "how": "share", "about": "notebook/bias"}) == 403
    assert len(uat.comments(sampled)) == 1


def test_a_finding_and_a_case_lead_to_their_comment(people: dict[str, Visitor]) -> None:
    ada = people["ada"]
    ada.ask("GET", "/notebook/bias")
    assert 'href="/comments?about=finding/bias/selection-rate-gap%5Bsex%5D"' in ada.page
    ada.ask("GET", "/comments?about=finding/bias/selection-rate-gap%5Bsex%5D")
    assert "Women are selected less often</option>" in ada.page
    assert "selected>bias: Women" in ada.page


def test_who_writes_too_much_is_slowed_down(people: dict[str, Visitor]) -> None:
    ada = people["ada"]
    reads(ada)
    form = {"_xsrf": ada.field("_xsrf"), "text": "", "how": "share", "about": "notebook/bias", "id": ""}
    answers = [ada.ask("POST", "/comments", form) for _ in range(125)]
    assert answers[0] == 409
    assert answers[-1] == 429
