"""Bias at scale: the whole audit of many scored rows on disk, counts, gaps, intervals and thresholds, in one process.

    python -m benchmarks.bias_scale            # 10,000,000 rows, two attributes of ten groups, two models' scores

The rows are made once, as Parquet. The audit is the product's own, run from a migration.yaml whose models are the two
columns of scores; its seconds are wall time from the open migration to the evidence, its memory the process's peak.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROWS, GROUPS, BLOCK = 10_000_000, 10, 1_000_000
MIGRATION = """version: 1
name: scale
data: {holdout: rows.parquet}
legacy: {uri: "column:before"}
candidate: {uri: "column:after"}
task: {kind: binary, target: paid, positive: 1, threshold: 0.45}
roles: {protected: [region, band]}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--csv", action="store_true", help="the rows as CSV instead of Parquet")
    parser.add_argument("--audit", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.audit:
        print(json.dumps(audit(given.audit, given.depth)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), given.rows, given.csv)
        words = [sys.executable, "-m", "benchmarks.bias_scale", "--audit", folder, "--depth", str(given.depth)]
        found = subprocess.run(words, capture_output=True, text=True, check=True)
        print(found.stdout.splitlines()[-1])


def make(folder: Path, rows: int, csv: bool = False) -> None:
    """Two attributes, a truth and two models' scores, the second a little unfair to one region."""
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, BLOCK):
        n = min(BLOCK, rows - start)
        region, band = rng.integers(0, GROUPS, n), rng.integers(0, GROUPS, n)
        before = rng.beta(2, 2, n)
        after = np.clip(before + rng.normal(0, 0.02, n) - 0.01 * (region == 3), 0, 1)
        columns = {
            "region": pa.array(np.char.add("region ", region.astype(str))),
            "band": pa.array(np.char.add("band ", band.astype(str))),
            "paid": (rng.random(n) < before).astype(np.int64),
            "before": before,
            "after": after,
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(folder / "rows.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    (folder / "migration.yaml").write_text(MIGRATION.replace(".parquet", ".csv") if csv else MIGRATION)
    if csv:
        duckdb.sql(f"COPY '{folder / 'rows.parquet'}' TO '{folder / 'rows.csv'}'")


def audit(folder: Path, depth: int) -> dict[str, object]:
    """Seconds, processor seconds and peak MB of one audit, and what it found."""
    from workbench import catalog
    from workbench.migration import open_migration

    migration = open_migration(folder)
    started, cpu = time.monotonic(), sum(os.times()[:2])
    evidence = catalog.run(migration, "bias", {"depth": depth})
    seconds, used = time.monotonic() - started, sum(os.times()[:2]) - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = max(finding.shown.n or 0 for finding in evidence.findings if finding.shown)
    counted = {str(status): n for status, n in evidence.verdict.counts.items()}
    times = {"seconds": round(seconds, 2), "cpu_seconds": round(used, 2), "peak_mb": round(peak)}
    return {"rows": rows, "depth": depth, **times, "findings": counted, "said": evidence.verdict.sentence}


if __name__ == "__main__":
    main()
