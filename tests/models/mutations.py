"""Damaged files for every parser: what it must refuse in a sentence, never crash on and never hang over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from workbench.models import ModelError

EXAMPLES = int(os.environ.get("WORKBENCH_FUZZ", "60"))
"""Files tried per parser; more once in a while: WORKBENCH_FUZZ=20000."""
PATIENCE = 5.0
"""Seconds of processor time one file may take: the largest sample takes a tenth of one."""

ODD = st.sampled_from(
    [b"\xff" * 4, b"\x00" * 8, b"\xff\xff\xff\x7f", b"\x00\x00\xc0\x7f", b"nan", b"-1", b"9" * 12, b"<"]
)
Step = tuple[str, float, bytes]
STEPS = st.tuples(
    st.sampled_from(["cut", "put", "over", "drop", "double"]),
    st.floats(0, 1, exclude_max=True),
    st.one_of(ODD, st.binary(min_size=1, max_size=6)),
)


def damaged(data: bytes, steps: list[Step]) -> bytes:
    """The data after some accidents, each at a place between 0 (start) and 1 (end)."""
    for kind, place, part in steps:
        at = int(place * len(data))
        if kind == "cut":
            data = data[: at or len(data)]
        elif kind == "put":
            data = data[:at] + part + data[at:]
        elif kind == "over":
            data = data[:at] + part + data[at + len(part) :]
        elif kind == "drop":
            data = data[:at] + data[at + 8 * len(part) :]
        else:
            data = data[:at] + data[max(0, at - 200) :]
    return data


def holds_out(read: Callable[[bytes], object], data: bytes) -> None:
    """Raises what the parser raised, or AssertionError, for a damaged file that got neither read nor a sentence."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=EXAMPLES < 1000,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(st.lists(STEPS, min_size=1, max_size=4))
    def run(steps: list[Step]) -> None:
        start, said = time.process_time(), "read, as what was damaged did not matter"
        try:
            read(damaged(data, steps))
        except ModelError as error:
            said = str(error)
        assert 20 < len(said) < 2000, said
        assert time.process_time() - start < PATIENCE

    run()
