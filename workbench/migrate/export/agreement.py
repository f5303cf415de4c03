"""Does onnxruntime answer from the file as torch does? Rows made to tell them apart, one row, and none.

Three blocks of rows. In the first, thresholds with their neighbours in float64, common values, missing ones; categories
known, unknown and missing. In the second, unix seconds and prices as well; in the third, zeros of either sign,
infinities and values of any size. Labels are equal in every row, NaN stands where torch has it, and a number is within
TOLERANCE of torch's, as a share of the largest of its block where that is above 1: sums in another order have no closer
form.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.migrate.export.edges import no_class
from workbench.migrate.lift.agreement import SPECIAL
from workbench.migrate.lift.tree_op import TreeEnsemble
from workbench.models.edge import EdgeColumn
from workbench.models.tree_kernel.program import thresholds

if TYPE_CHECKING:
    from workbench.migrate.lift.lifted import Lifted

TOLERANCE = 1e-12
ROWS = 512
COMMON = [0.0, 1.0, 2.0, 10.0, 100.0, 1000.0, -1.0, 0.5, 0.1, 19.99, np.nan]
"""Values that real columns hold; 10, 100 and 1000 are where a logarithm must be whole."""
LARGE = [*COMMON, 1.6e9, 1.6e9 + 1, 1.6e9 + 0.25, 123_456_789.0]

Answers = dict[str, NDArray[Any]]


def differences(lifted: Lifted, path: Path) -> tuple[dict[str, float], int, str]:
    """Largest difference per output, the number of rows, and why the file is not torch's ("" where it is)."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    largest: dict[str, float] = {}
    rows, nothing = 0, no_class(lifted.classes)
    try:
        session = InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for frame in blocks(lifted):
            expected, found = torch_answers(lifted, frame), onnx_answers(session, frame)
            rows += len(frame)
            for name, values in expected.items():
                apart, reason = _apart(name, values, found[name], nothing)
                if reason:
                    return largest, rows, reason
                largest[name] = max(largest.get(name, 0.0), apart)
    except Exception as error:
        return largest, rows, f"onnxruntime does not run the file: {' '.join(str(error).split())[:300]}"
    return largest, rows, ""


def blocks(lifted: Lifted) -> list[pd.DataFrame]:
    rng = np.random.default_rng(0)
    parts = [part for part in lifted.module.op.modules() if isinstance(part, TreeEnsemble)]
    limits = np.concatenate([np.empty(0), *(thresholds(part.program.numpy()) for part in parts)])
    near = np.concatenate([limits, np.nextafter(limits, np.inf), np.nextafter(limits, -np.inf)])
    near = np.concatenate([near[np.isfinite(near)], rng.normal(size=max(64, len(near) // 4))])
    made = [_frame(lifted, rng, near, others) for others in (COMMON, LARGE, SPECIAL)]
    return [*made, made[0].head(1), made[0].head(0)]


def _frame(lifted: Lifted, rng: np.random.Generator, near: NDArray[np.float64], others: list[float]) -> pd.DataFrame:
    read = {column.name: _values(column, rng, near, others) for column in lifted.card.edge.columns}
    unread = {one.name: np.full(ROWS, np.nan) for one in lifted.inputs if one.name not in read}
    return pd.DataFrame({**read, **unread})


def _values(column: EdgeColumn, rng: np.random.Generator, near: NDArray[np.float64], others: list[float]) -> Any:
    """Only what the column does not refuse: where the model stops there is no answer to compare."""
    if column.read == "number":
        found = np.where(rng.random(ROWS) < 0.3, rng.choice(others, ROWS), rng.choice(near, ROWS))
        if "unknown" in column.refuses:
            found = rng.choice([*map(float, column.values), np.nan], ROWS)
        low, high = (column.between or (-np.inf, np.inf))[:2]
        if "outside" in column.refuses:
            found = np.clip(found, low, high)
        usual = float(column.values[0]) if column.values else min(max(0.0, low), high)
        return np.where(np.isnan(found), usual, found) if "missing" in column.refuses else found
    pool: list[object] = [*column.values]
    pool += [] if "unknown" in column.refuses else ["a value nobody knows", "0"]
    pool += [] if {"missing", "none"} & set(column.refuses) else [None]
    return pd.Series([pool[place] for place in rng.integers(0, len(pool), ROWS)], dtype=object)


def torch_answers(lifted: Lifted, frame: pd.DataFrame) -> Answers:
    found = lifted.predict(frame)
    named = {"label": found.labels, "scores": found.scores, "values": found.values}
    return {name: np.asarray(values) for name, values in named.items() if values is not None}


def onnx_answers(session: Any, frame: pd.DataFrame) -> Answers:
    text = {port.name: port.type == "tensor(string)" for port in session.get_inputs()}
    feed = {}
    for name, is_text in text.items():
        column = frame[name].to_numpy()
        values = np.array(["" if value is None else value for value in column], dtype=object) if is_text else column
        feed[name] = values.reshape(-1, 1)
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(names, feed)))


def _apart(name: str, expected: NDArray[Any], found: NDArray[Any], nothing: str | int) -> tuple[float, str]:
    if expected.shape != found.shape:
        return 0.0, f"onnxruntime gives {name} of the shape {found.shape} where torch gives {expected.shape}"
    if name == "label":
        plain = np.array([nothing if one is None else one for one in expected.tolist()] + [None], dtype=object)[:-1]
        flipped = int((plain != found.astype(object)).sum())
        return 0.0, f"{flipped} of {len(expected)} labels differ from torch's" if flipped else ""
    if not np.array_equal(np.isnan(expected), np.isnan(found)):
        return 0.0, f"onnxruntime and torch give no number in {name} for different rows"
    ordinary, endless = np.isfinite(expected), np.isinf(expected)
    if not np.array_equal(expected[endless], found[endless]):
        return 0.0, f"onnxruntime and torch leave the range of numbers in {name} for different rows"
    if not ordinary.any():
        return 0.0, ""
    apart = float(np.abs(expected[ordinary] - found[ordinary]).max())
    scale = max(1.0, float(np.abs(expected[ordinary]).max()))
    share = apart / scale
    return share, f"{name} differ by up to {apart:.1e} from torch's" if share > TOLERANCE else ""
