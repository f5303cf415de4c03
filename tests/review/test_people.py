"""Links that work once, sessions that end, doors that stay shut."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench.ui.review.doors import Doors, ReviewError, check_doors
from workbench.ui.review.people import DAY, Limiter, People


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(tmp_path: Path, clock: Clock) -> People:
    return People(tmp_path, clock)


def test_a_link_lets_one_person_in_once(people: People) -> None:
    link = people.invite("ada")
    assert people.invited(link) == "ada"
    session = people.session(people.enter(link))
    assert session is not None
    assert session.login == "ada"
    assert people.enter(link) == ""
    assert people.invited(link) == ""
    assert people.enter("guess" * 8) == ""


def test_of_many_clicks_at_once_one_comes_in(people: People) -> None:
    link = people.invite("ada")
    with ThreadPoolExecutor(8) as pool:
        came = [secret for secret in pool.map(people.enter, [link] * 24) if secret]
    assert len(came) == 1


def test_links_and_sessions_end_by_time(people: People, clock: Clock) -> None:
    link, later = people.invite("ada"), people.invite("bob")
    inside = people.enter(link)
    clock.now += 2.9 * DAY
    assert people.session(inside) is not None
    clock.now += 2.9 * DAY
    assert people.session(inside) is not None, "used within three days, it goes on"
    clock.now += 3.1 * DAY
    assert people.session(inside) is None
    assert people.enter(later) == "", "older than a week"


def test_a_session_ends_after_thirty_days_however_much_it_is_used(people: People, clock: Clock) -> None:
    inside = people.enter(people.invite("ada"))
    for _ in range(15):
        clock.now += 2 * DAY
        people.session(inside)
    assert people.session(inside) is None


def test_a_new_link_replaces_the_unused_one_and_shutting_out_ends_everything(people: People) -> None:
    first, second = people.invite("ada"), people.invite("ada")
    assert people.invited(first) == ""
    inside = people.enter(second)
    third = people.invite("ada")
    assert people.shut_out("ada") == 1
    assert people.session(inside) is None
    assert people.enter(third) == ""


def test_nothing_in_the_file_lets_anyone_in(people: People) -> None:
    link = people.invite("ada")
    secret = people.enter(people.invite("bob"))
    content = people.path.read_bytes()
    assert link.encode() not in content
    assert secret.encode() not in content
    assert people.path.stat().st_mode & 0o077 == 0


def test_too_many_tries_are_counted_by_who_tries(clock: Clock) -> None:
    limiter = Limiter(3, 60.0, clock)
    assert [limiter.allows("a") for _ in range(4)] == [True, True, True, False]
    assert limiter.allows("b")
    clock.now += 61
    assert limiter.allows("a")


@pytest.mark.parametrize(
    ("doors", "host", "said"),
    [
        (Doors("open"), "0.0.0.0", "on this machine only"),
        (Doors(), "0.0.0.0", "Say under which address"),
        (Doors(url="http://review.example.org/"), "127.0.0.1", "is not encrypted"),
    ],
)
def test_what_strangers_could_enter_or_read_is_not_served(doors: Doors, host: str, said: str) -> None:
    with pytest.raises(ReviewError, match=said):
        check_doors(doors, host)


@pytest.mark.parametrize(
    ("doors", "host"),
    [
        (Doors("open"), "127.0.0.1"),
        (Doors(), "::1"),
        (Doors(url="https://review.example.org/x/"), "0.0.0.0"),
        (Doors(url="http://localhost:8899/"), "127.0.0.1"),
    ],
)
def test_what_is_safe_is_served(doors: Doors, host: str) -> None:
    check_doors(doors, host)
