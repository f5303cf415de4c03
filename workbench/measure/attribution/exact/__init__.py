"""Exact Shapley values of tree ensembles, from the tree IR."""

from workbench.measure.attribution.exact.engine import TreeShapley

__all__ = ["TreeShapley"]
