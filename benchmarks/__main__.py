"""`python -m benchmarks trees|fidelity|measures|simulations|verdicts|gpu|lab|review`: measure, keep, write pages."""

from __future__ import annotations

import argparse
import os
import warnings

# One thread unless a measurement sets more: before any library reads it.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what", choices=("trees", "fidelity", "measures", "simulations", "verdicts", "gpu", "lab", "review")
    )
    parser.add_argument("--quick", action="store_true", help="a selection that takes minutes")
    parser.add_argument("--threads", type=_numbers, help="trees: numbers of threads, for example 1,2")
    parser.add_argument("--batches", type=_numbers, help="trees: rows asked at once, for example 1,64,1024")
    parser.add_argument("--only", default="", help="trees: models whose name holds this; shown, not kept")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    if given.what == "trees":
        from benchmarks import trees

        trees.main(given.batches, given.threads, given.quick, given.only)
    elif given.what == "fidelity":
        from benchmarks import fidelity

        fidelity.main()
    elif given.what == "measures":
        from benchmarks import measures

        measures.main(given.quick)
    elif given.what == "gpu":
        from benchmarks import gpu

        gpu.main()
    elif given.what == "lab":
        from benchmarks import lab

        lab.main(given.quick)
    elif given.what == "review":
        from benchmarks import review

        review.main(given.quick)
    else:
        from benchmarks import simulations

        (simulations.study if given.what == "verdicts" else simulations.main)(given.quick)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    main()
