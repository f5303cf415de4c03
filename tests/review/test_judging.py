"""Cases in the browser: blind, one a screen, kept at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from visitor import Visitor, come_in

from workbench import catalog, store, uat
from workbench.evidence import Evidence
from workbench.migration import open_migration
from workbench.ui.review.people import People


def case(number: int, legacy: float, candidate: float) -> uat.Case:
    said = [uat.Said(answer=f"default = {int(score >= 0.5)}", score=score) for score in (legacy, candidate)]
    shown = {"sex": "f", "income": f"{number},000", "<img src=x>": "<b>bold</b>"}
    return uat.Case(id=f"{number:016d}", row=number, why="at random", shown=shown, legacy=said[0], candidate=said[1])


@pytest.fixture
def sampled(folder: Path) -> Path:
    """Thirty cases on which the models differ, and one on which they do not."""
    migration = open_migration(folder)
    evidence = Evidence(
        audit="acceptance", migration="credit", key=catalog.key(migration, "acceptance"), seconds=1.0,
        started=store.runs(folder)[0].record.finished, findings=(),  # type: ignore[union-attr]
    )  # fmt: skip
    cases = [case(n, 0.2 + n / 100, 0.9) for n in range(30)] + [case(30, 0.4, 0.4000001)]
    with store.open_run(folder) as run:
        place = run.workplace("62_acceptance")
        store.write(place / store.EVIDENCE, evidence.to_json())
        uat.write_cases(place, cases)
        run.publish("62_acceptance", audit="acceptance", key=evidence.key)
        run.finish()
    return folder


def answer(visitor: Visitor, number: int, choice: str, reason: str = "") -> int:
    assert visitor.ask("GET", f"/cases/{number}") == 200
    form = {"_xsrf": visitor.field("_xsrf"), "case": visitor.field("case"), "choice": choice, "reason": reason}
    return visitor.ask("POST", f"/cases/{number}", form)


def first(page: str) -> float:
    """Score of the side called Model A."""
    return float(re.findall(r"score ([0-9.]+)", page)[0])


def test_which_model_is_which_is_shuffled_by_person_and_case_and_stays(
    sampled: Path, served: Callable[..., str]
) -> None:
    address = served()
    sides = {}
    for login in ("ada", "bob"):
        visitor = Visitor(address)
        come_in(visitor, sampled, login)
        pages = [visitor.ask("GET", f"/cases/{n}") and visitor.page for n in range(1, 31)]
        sides[login] = [first(str(page)) == 0.9 for page in pages]
        assert 5 < sum(sides[login]) < 25
        bodies = [str(page).split("</style>")[1].lower() for page in pages]
        assert not any("legacy" in body or "candidate" in body for body in bodies)
        visitor.ask("GET", "/cases/1")
        assert (first(visitor.page) == 0.9) == sides[login][0]
    assert sides["ada"] != sides["bob"]


def test_an_answer_is_kept_under_the_side_it_meant(sampled: Path, served: Callable[..., str]) -> None:
    ada = Visitor(served())
    come_in(ada, sampled, "ada")
    meant = {}
    for number in range(1, 9):
        ada.ask("GET", f"/cases/{number}")
        meant[f"{number - 1:016d}"] = "candidate" if first(ada.page) == 0.9 else "legacy"
        assert answer(ada, number, "a", "because") == 303
        assert ada.headers["location"] == f"/cases/{number + 1}"
    assert {one.case: one.choice for one in uat.answers(sampled)} == meant
    assert answer(ada, 1, "neither") == 303
    assert {one.case: one.choice for one in uat.answers(sampled)} == meant | {f"{0:016d}": "neither"}
    ada.ask("GET", "/cases/1")
    assert 'value="neither" accesskey="4" class="on"' in ada.page
    assert "8 of 31 judged" in ada.page


def test_where_both_say_the_same_there_is_nothing_to_prefer(sampled: Path, served: Callable[..., str]) -> None:
    ada = Visitor(served())
    come_in(ada, sampled, "ada")
    ada.ask("GET", "/cases/31")
    assert "Both models decide alike here." in ada.page
    assert answer(ada, 31, "a") == 409
    assert answer(ada, 31, "both") == 303


def test_a_stale_screen_a_stranger_and_a_wrong_number_are_refused(sampled: Path, served: Callable[..., str]) -> None:
    address = served()
    ada, mallory = Visitor(address), Visitor(address)
    come_in(ada, sampled, "ada")
    come_in(mallory, sampled, "mallory")
    ada.ask("GET", "/cases/1")
    form = {"_xsrf": ada.field("_xsrf"), "case": "f" * 16, "choice": "a"}
    assert ada.ask("POST", "/cases/1", form) == 409
    assert "sampled anew" in ada.page
    assert ada.ask("GET", "/cases/32") == 404
    assert answer(mallory, 1, "a") == 409
    assert uat.answers(sampled) == ()
    assert People(sampled).salt() == People(sampled).salt()


def test_values_stay_text(sampled: Path, served: Callable[..., str]) -> None:
    ada = Visitor(served())
    come_in(ada, sampled, "ada")
    ada.ask("GET", "/cases/1")
    assert "<img src=x>" not in ada.page
    assert "<b>bold</b>" not in ada.page


def test_masked_columns_are_shown_to_the_roles_that_may_see_them(sampled: Path, served: Callable[..., str]) -> None:
    path = sampled / "migration.yaml"
    path.write_text(path.read_text().replace("  quorum:", "  sees: {risk: [personal, key]}\n  quorum:"))
    masked: dict[str, uat.Masked] = {"name": "personal", "loan": "key", "sex": "protected"}
    shown = {"sex": "hidden", "name": "hidden", "loan": "#000000", "income": "1"}
    hidden = {"sex": "CANARY-sex", "name": "CANARY-name", "loan": "CANARY-loan"}
    place = next((sampled / "reports").glob("*/62_acceptance"))
    one = case(0, 0.2, 0.9).model_copy(update={"shown": shown, "masked": masked})
    uat.write_cases(place, [one])
    uat.Withheld(folder=sampled, kinds=frozenset({"personal", "key", "protected"})).write({one.id: hidden})
    address, pages = served(), {}
    for login in ("ada", "bob", "mallory"):
        visitor = Visitor(address)
        come_in(visitor, sampled, login)
        assert visitor.ask("GET", "/cases/1") == 200
        pages[login] = visitor.page
    assert "CANARY-name" in pages["ada"]
    assert "CANARY-loan" in pages["ada"]
    assert "CANARY-sex" not in pages["ada"], "ada's role sees names and keys"
    for login in ("bob", "mallory"):
        assert "CANARY" not in pages[login]
