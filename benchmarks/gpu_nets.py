"""A small network served on a device: eager, by torch.compile, and by CUDA graphs, in float32 and in fewer bits.

Its weights are random numbers: what an answer takes does not depend on them. A time is that of an answer in the host's
memory, from rows in the host's memory. Another engine's answer is held against the eager one's before it is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

LAYERS = (32, 256, 256, 256, 1)
"""Columns, hidden widths, output."""
ENGINES = ("eager", "cuda-graphs", "inductor", "inductor-overhead")
PRECISIONS = ("float32", "bfloat16")
BATCHES = (1, 65_536)
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.05}
"""Largest difference of a chance from that of the eager engine in float32."""


def network(layers: Sequence[int] = LAYERS, seed: int = 0) -> Any:
    """A lifted network of these widths: numbers in, two classes out."""
    from workbench.migrate.lift import Lifted
    from workbench.migrate.lift.answer import Answer
    from workbench.migrate.lift.lifted import Module
    from workbench.migrate.lift.network import Activation
    from workbench.migrate.lift.ops import Chain, MatMul, Op
    from workbench.migrate.lift.tabular import MeanAnswer, Network
    from workbench.models.edge import EdgeColumn, EdgeSpec
    from workbench.models.protocol import Input
    from workbench.models.torch_file import Card

    rng, parts = np.random.default_rng(seed), list[Op]()
    for wide, narrow in pairwise(layers):
        weight = rng.normal(scale=wide**-0.5, size=(wide, narrow))
        parts += [MatMul({}, {"weight": weight, "bias": np.zeros(narrow)}), Activation({"function": "relu"})]
    config = {"task": "binary", "link": "identity", "link_scale": 1.0, "label": "argmax", "scores": True}
    ending = Answer({**config, "raw": False, "float32": False})
    op = Chain({}, {}, [Network({}, {}, parts[:-1]), MeanAnswer({"link": "sigmoid"}), ending])
    names = [f"x{place}" for place in range(layers[0])]
    edge = EdgeSpec(tuple(EdgeColumn(name, "number") for name in names))
    card = Card("binary", (0, 1), tuple(Input(name, "number") for name in names), edge, source="random weights")
    return Lifted(Module(op).eval(), card)


def served(
    device: str,
    engines: Sequence[str] = ENGINES,
    precisions: Sequence[str] = PRECISIONS,
    batches: Sequence[int] = BATCHES,
    layers: Sequence[int] = LAYERS,
) -> Iterator[tuple[int, str, float, Callable[[], object]]]:
    """(rows, side, seconds of the first answer, one answer) for every batch, precision and engine; of each batch the
    eager engine in float32 comes first.

    Raises RuntimeError where an engine answers otherwise.
    """
    import torch

    from workbench.migrate.tune.narrow import narrowed
    from workbench.models.serving import Serving
    from workbench.models.serving_run import built

    calls = {}
    for precision in precisions:
        program = narrowed(network(layers), precision, 0).export()
        for engine in engines:
            calls[f"{engine}, {precision}"] = built(program, Serving(engine, device))
    first = next(iter(calls))
    for rows in batches:
        numbers = torch.from_numpy(np.random.default_rng(rows).normal(size=(max(rows, 2), layers[0])))
        codes = torch.zeros((len(numbers), 0), dtype=torch.int64)
        expected: Any = None
        for side, call in calls.items():

            def answered(call: Any = call, numbers: Any = numbers, codes: Any = codes) -> Any:
                with torch.inference_mode():
                    return call(numbers, codes)["scores"].cpu()

            start = time.perf_counter()
            found = answered()
            first_took = time.perf_counter() - start
            expected = found if side == first else expected
            apart = float((found.float() - expected.float()).abs().max())
            if not apart <= TOLERANCES[side.rsplit(", ", 1)[1]]:
                raise RuntimeError(f"{side} answers {rows:,} rows otherwise, by {apart:.2g}: nothing is measured")
            yield rows, side, first_took, answered
