"""Exact lift of a legacy model to one torch module, or a refusal that names the piece."""

# Importing the families fills the registries of converters and ops.
from workbench.migrate.lift import (  # noqa: F401
    clusters,
    committees,
    curves,
    functions,
    group_thresholds,
    grown,
    imputers,
    int8,
    jpmml_casts,
    jpmml_domains,
    jpmml_expressions,
    jpmml_words,
    kernels,
    linear_family,
    neighbours,
    network,
    onnx_graph,
    pmml_linear,
    pmml_sums,
    posterior,
    project,
    retarget,
    selection,
    tabular,
    target,
    wrappers,
)
from workbench.migrate.lift.columns import PREDICTORS, TRANSFORMERS, CannotLift
from workbench.migrate.lift.lifted import Lifted, lift, lift_piece

__all__ = ["PREDICTORS", "TRANSFORMERS", "CannotLift", "Lifted", "lift", "lift_piece"]
