"""Whose turn it is where there are fewer kernels than readers: no kernel runs here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from workbench.ui.review.live import AGAIN, BusyError, Live


class Places(Live):
    """Takes and ends places as ever, without Voila behind it."""

    def __init__(self, folder: Path, most: int) -> None:
        super().__init__(folder, "/explore/", most=most)
        self.clock = 0.0
        self.now = lambda: self.clock

    async def started(self) -> None: ...

    async def fetch(self, *_: Any, **__: Any) -> Any: ...

    async def ahead(self, owner: str) -> int:
        """How many wait before them; -1 once they are in."""
        try:
            await self.take(owner)
        except BusyError as busy:
            return busy.ahead
        return -1


def test_places_are_few_and_each_person_has_two(tmp_path: Path) -> None:
    async def fill() -> None:
        live = Places(tmp_path, most=3)
        mine = [await live.take("ada") for _ in range(3)]
        assert set(live.kernels) == {one.id for one in mine[1:]}, "the oldest made room"
        await live.take("bob")
        with pytest.raises(BusyError):
            await live.take("eve")
        assert live.owned(mine[1].id, "bob") is None
        live.clock += 2000
        await live.take("eve")
        assert len(live.kernels) == 1, "what nobody used was ended"

    asyncio.run(fill())


def test_who_came_first_is_let_in_first_and_who_left_holds_nobody_up(tmp_path: Path) -> None:
    async def queue() -> None:
        live = Places(tmp_path, most=1)
        first = await live.take("ada")
        assert [await live.ahead(who) for who in ("bob", "eve", "kim", "bob")] == [0, 1, 2, 0]
        await live.end(first.id)
        assert await live.ahead("eve") == 1, "there is room, and it is bob's"
        live.clock += 3 * AGAIN + 1
        assert await live.ahead("eve") == -1, "bob has gone"
        assert await live.ahead("kim") == 0
        await live.end_of("kim")
        assert await live.ahead("bob") == 0

    asyncio.run(queue())
