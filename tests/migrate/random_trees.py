"""Random tree ensembles with every way to ask, and rows that sit where answers change."""

from __future__ import annotations

import numpy as np

from workbench.models.trees import MISSING_NAN, Trees

LIMITS = [-1.0, 0.0, 0.5, 1.0, 1e-35, -1e-35, 3.0, 1.6e9, 5e-324, np.inf]
SPECIAL = [
    np.nan, 0.0, -0.0, 1e-36, 1e-35, -1e-35, np.inf, -np.inf, 0.5, 1.0, 3.0, 70.0, 1.6e9, 1.6e9 + 1, -1.0, 5e-324,
    -5e-324, 1e-310, 2.9999999999999996, 3.0000000000000004, 3.0000001, 1e39, -1e39,
]  # fmt: skip


def random_trees(seed: int, features: int, outputs: int, deep: bool, vectors: bool = False) -> Trees:
    """Trees with every way to ask: both comparisons' limits, categories, all three meanings of missing.

    vectors: a leaf holds a value for each output.
    """
    rng = np.random.default_rng(seed)
    rows: list[list[object]] = []
    roots, count = [], int(rng.integers(1, 6))
    kind = rng.integers(0, 3, features)
    coded = rng.random(features) < 0.3

    def grow(depth: int) -> int:
        at = len(rows)
        rows.append([])
        if depth == 0 or rng.random() < 0.2:
            rows[at] = [-1, 0.0, -1, -1, False, MISSING_NAN, -1, False]
            return at
        f = int(rng.integers(0, features))
        threshold = float(rng.choice(LIMITS))
        left, right = grow(depth - 1), grow(depth - 1)
        category = int(rng.integers(0, 4)) if coded[f] else -1
        missing = MISSING_NAN if coded[f] else int(kind[f])
        rows[at] = [f, threshold, left, right, rng.random() < 0.5, missing, category, rng.random() < 0.5]
        return at

    for _ in range(count):
        roots.append(grow(9 if deep else 4))
    columns = [np.array(column) for column in zip(*rows)]
    mean = vectors and rng.random() < 0.5
    return Trees(
        features=tuple(f"f{i}" for i in range(features)),
        roots=np.array(roots, np.int32),
        feature=columns[0].astype(np.int32),
        threshold=columns[1],
        left=columns[2].astype(np.int32),
        right=columns[3].astype(np.int32),
        default_left=columns[4],
        missing=columns[5].astype(np.uint8),
        category=columns[6].astype(np.int32),
        bits=rng.integers(0, 2**32, (4, 2), dtype=np.uint32),
        unknown_left=columns[7],
        value=rng.normal(size=(len(rows), outputs if vectors else 1)),
        cover=np.zeros(len(rows)),
        tree_output=np.full(count, -1, np.int32) if vectors else rng.integers(0, outputs, count).astype(np.int32),
        weight=rng.random(count),
        base=rng.normal(size=outputs),
        compare="<" if rng.random() < 0.5 else "<=",
        precision="float32" if rng.random() < 0.5 else "float64",
        aggregation="mean" if mean else "sum",
    )


def random_rows(seed: int, rows: int, features: int) -> np.ndarray:
    return np.random.default_rng(seed).choice(SPECIAL + list(range(64)), (rows, features))
