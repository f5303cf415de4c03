"""Runs, training, trials and candidates in an MLflow store as well, each with its lineage to the evidence.

Everything here is read from what lies in the migration's folder, after the fact: no audit waits for a store, and a
store that is lost is filled again. What is there already is not written twice (`records`). The store is a database
beside the migration, or a team's server (`address`); `mlflow_store` is the only module that knows MLflow.
Candidates become versions of one registered model, whose alias `champion` follows the ledger alone (`champion`).
"""

from workbench.tracking.address import Address, TrackingError, address
from workbench.tracking.champion import Champion, champion
from workbench.tracking.syncing import Tracked, is_new, track

__all__ = ["Address", "Champion", "Tracked", "TrackingError", "address", "champion", "is_new", "track"]
