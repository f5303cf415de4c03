"""PMML 4.x documents as models, read here: no Java, no library.

Trees, regressions, scorecards, and segments of these; with the DataDictionary, the MiningSchema and the
transformations that exporters of R and scikit-learn write. Any other model or function is refused by its name.
Source: https://dmg.org/pmml/v4-4-1/GeneralStructure.html and its chapters.
"""

from __future__ import annotations

from workbench.models.pmml.model import PmmlModel, open_pmml

__all__ = ["PmmlModel", "open_pmml"]
