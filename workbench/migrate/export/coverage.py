"""The page of what becomes an ONNX file, made from a table that a test fills by exporting a model of each kind.

`python -m workbench.migrate.export.coverage > docs/onnx.md`
"""

from __future__ import annotations

import json
from pathlib import Path

PIECES = Path(__file__).with_name("pieces.json")
"""Kind of piece → "" where a model with it was written and held, else the reason why not."""

HEAD = """# ONNX files of lifted models

Made by `python -m workbench.migrate.export.coverage`; a test holds the table to what the export does.

`42_replatform` writes `candidate.onnx` beside `candidate.pt2`: raw columns in, one tensor `[rows, 1]` each (float64, or
text with `""` for what is missing), `label` and `scores` or `values` out. Standard operators only (ai.onnx 18,
ai.onnx.ml 5), float64 throughout; it takes onnx and onnxruntime, the extra `models`. Where ONNX has no exact form, or
onnxruntime answers otherwise, there is no file, the finding `replatform/onnx` says why, and the candidate is the
`.pt2`.

A file is kept only after onnxruntime answered from it as torch does: about 1,500 rows of thresholds and their
neighbours in float64, common values, unix seconds, prices, missing and unknown values, infinities, then one row and
none.
Labels must be equal; scores and values within {tolerance:g} of torch's, as a share of the largest answer of the block
where that is above 1.

## What onnxruntime does, and what is written because of it
{traps}

A row without an answer has NaN scores and no class: `""`, or -1 (the lowest 64-bit number where -1 is a class).
Classes are all text or all whole numbers.

## Pieces
A setting can still be refused where its kind is held, and is then named: `QuantileTransformer` with the output
distribution "normal" asks for the normal quantile function, which ONNX does not have.

"""

TRAPS = (
    ("onnxruntime", "seen", "written instead"),
    ("---", "---", "---"),
    (
        "TreeEnsembleClassifier and TreeEnsembleRegressor, as converters write them, compare in float32",
        "unix seconds and cents cross thresholds",
        "TreeEnsemble of ai.onnx.ml 5 with thresholds and input in float64",
    ),
    (
        "trees are added in an order of its own",
        "other bits",
        "each tree answers in its own column, CumSum adds them in the model's order, in float32 where XGBoost does",
    ),
    (
        "a division by a number before a MatMul is fused into it, the factor kept in float32",
        "4.6e-8 of the result",
        "Gemm",
    ),
    ("Sigmoid in float64 takes small chances as 1 - p", "1e-3 of a chance of 5e-14", "1 / (1 + exp(-x))"),
    ("no Tan and no Erf in float64", "not run", "sin / cos; Erf is refused"),
    ("no log1p and expm1", "", "Kahan's forms of both"),
    (
        "no way to stop at a row",
        "",
        "where the legacy model stops at a value the run stops too, and the node's name says at which column",
    ),
)


def page() -> str:
    """The whole page as Markdown."""
    from workbench.migrate.export.agreement import TOLERANCE

    pieces: dict[str, str] = json.loads(PIECES.read_text("utf-8"))
    held = [kind for kind, reason in pieces.items() if not reason]
    refused = {kind: reason for kind, reason in pieces.items() if reason}
    lines = [f"{len(held)} kinds of piece were exported and held; {len(refused)} were refused.", ""]
    lines += ["| piece | what became of it |", "|---|---|"]
    lines += [f"| `{kind}` | {reason or 'written and held'} |" for kind, reason in sorted(pieces.items())]
    traps = "\n".join(f"| {' | '.join(row)} |" for row in TRAPS)
    return HEAD.format(tolerance=TOLERANCE, traps=traps) + "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
