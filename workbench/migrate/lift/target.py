"""Target encoding: a category as the shrunken mean of the target under it."""

from __future__ import annotations

import numpy as np

from workbench.migrate.lift.columns import CannotLift, Columns, Context, fresh, take, transformer
from workbench.migrate.lift.encode import encoded, entries
from workbench.migrate.lift.ops import Beside, Op
from workbench.models.protocol import Piece


@transformer("sklearn.preprocessing.TargetEncoder")
def target_encoder(piece: Piece, columns: Columns, context: Context) -> tuple[Op, Columns]:
    """`transform` of the encoder; its cross-fitted `fit_transform` belongs to training alone."""
    found = piece.arrays.get("target_mean_", piece.params.get("target_mean_"))
    if found is None:
        raise CannotLift(piece.kind, "its description holds no target_mean_", "Fit it and save it again")
    mean = np.atleast_1d(np.asarray(found, dtype=np.float64))
    each = len(mean)
    ops = []
    for number, column in enumerate(columns.items):
        values = entries(piece.arrays[f"categories_.{number}"])
        places = range(number * each, (number + 1) * each)
        rows = np.stack([piece.arrays[f"encodings_.{place}"].astype(np.float64) for place in places], axis=1)
        ops.append(encoded(piece, column, values, rows, mean, context))
    return (Beside({}, {}, ops) if ops else take([])), fresh(each * len(ops))
