"""The one door to tables: files in, named columns, bounded samples and a fingerprint out.

    table = open_data("loans.csv")            # or a Parquet file, a glob, a list of both
    table.columns, table.rows, table.notes    # what was read, and how
    table.sample(20_000)                      # a pandas frame: seeded, in file order

Tables live in DuckDB behind Ibis expressions with bounded memory; nothing is fetched from a network.
"""

from workbench.data.source import DataError
from workbench.data.table import Column, Table, open_data

__all__ = ["Column", "DataError", "Table", "open_data"]
