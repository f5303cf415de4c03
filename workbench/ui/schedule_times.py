"""When: the five fields of cron, checked, and as systemd says the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from workbench.ui.say import CliError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MACROS = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip


@dataclass(frozen=True)
class Cron:
    """An expression of crontab(5): lists, ranges, steps and names. Raises CliError naming the field that is wrong."""

    said: str

    def __post_init__(self) -> None:
        _, _, days, months, _ = self.fields
        if self._days_restricted and not self._week_restricted and not _ever(days, months):
            raise CliError(f"--at {self.said!r} names a day that never comes: no such month has it")

    @property
    def text(self) -> str:
        """The five fields, without macros."""
        return " ".join(_MACROS.get(self.said.strip().lower(), self.said).split())

    @cached_property
    def fields(self) -> tuple[frozenset[int], ...]:
        """The values of each field; Sunday is 0."""
        words = self.text.split()
        if len(words) != len(_FIELDS):
            known = ", ".join(_MACROS)
            raise CliError(
                f"--at {self.said!r} is no time of cron: write five fields (minute hour day month weekday), e.g. "
                f"'0 6 * * mon' for Mondays at 6, or one of {known}"
            )
        found = [self._values(word, *field) for word, field in zip(words, _FIELDS, strict=True)]
        found[4] = frozenset(day % 7 for day in found[4])
        return tuple(found)

    def _values(self, word: str, what: str, low: int, high: int) -> frozenset[int]:
        found: set[int] = set()
        for part in word.split(","):
            whole, slash, step = part.partition("/")
            first, last = self._range(whole, what, low, high, open_end=bool(slash))
            if slash and not (step.isascii() and step.isdigit() and 0 < int(step) <= high):
                raise self._wrong(part, what, low, high)
            found |= set(range(first, last + 1, int(step) if slash else 1))
        return frozenset(found)

    def _range(self, whole: str, what: str, low: int, high: int, open_end: bool) -> tuple[int, int]:
        if whole == "*":
            return low, 6 if what == "day of the week" else high
        start, dash, end = whole.partition("-")
        first = self._number(start, what, low, high)
        last = self._number(end, what, low, high) if dash else high if open_end else first
        if last < first:
            raise self._wrong(whole, what, low, high)
        return first, last

    def _number(self, word: str, what: str, low: int, high: int) -> int:
        names = {"month": _MONTHS, "day of the week": _DAYS}.get(what, ())
        if word.lower() in names:
            return names.index(word.lower()) + low
        if not (word.isascii() and word.isdigit() and low <= int(word) <= high):
            raise self._wrong(word, what, low, high)
        return int(word)

    def _wrong(self, word: str, what: str, low: int, high: int) -> CliError:
        return CliError(f"--at {self.said!r}: {word!r} is no {what}: write {low} to {high}, a range, a list or a step")

    @property
    def _days_restricted(self) -> bool:
        return not self.text.split()[2].startswith("*")

    @property
    def _week_restricted(self) -> bool:
        return not self.text.split()[4].startswith("*")

    @property
    def calendar(self) -> tuple[str, ...]:
        """As OnCalendar= of systemd.time(7). Where cron restricts both days it means either, which takes two lines."""
        minutes, hours, days, months, week = self.fields
        time = f"{_list(hours, 0, 23)}:{_list(minutes, 0, 59)}:00"
        dates = f"*-{_list(months, 1, 12)}-"
        names = ",".join(_DAYS[day].capitalize() for day in sorted(week))
        weekly = f"{names} " if len(week) < 7 else ""
        if self._days_restricted and self._week_restricted:
            return f"{dates}{_list(days, 1, 31)} {time}", f"{weekly}{dates}* {time}"
        return (f"{weekly}{dates}{_list(days, 1, 31)} {time}",)

    def is_closer_than(self, minutes: int) -> bool:
        """Whether two of its times within a day may be less than so many minutes apart."""
        times = sorted(hour * 60 + minute for hour in self.fields[1] for minute in self.fields[0])
        around = [*times, times[0] + 24 * 60]
        return any(after - before < minutes for before, after in pairwise(around))


def _ever(days: frozenset[int], months: frozenset[int]) -> bool:
    return any(min(days) <= _LONGEST[month - 1] for month in months)


def _list(values: frozenset[int], low: int, high: int) -> str:
    return "*" if len(values) == high - low + 1 else ",".join(f"{value:02d}" for value in sorted(values))
