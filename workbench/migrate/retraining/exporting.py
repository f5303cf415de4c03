"""From a trained network back to one torch module, raw columns to answers, in the ops and files of a lifted model."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rtdl_num_embeddings as embeddings
import tabm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.migrate.lift import Lifted
from workbench.migrate.lift.answer import Answer
from workbench.migrate.lift.lifted import Module, rows_at_once
from workbench.migrate.lift.network import Activation
from workbench.migrate.lift.ops import Affine, Chain, MatMul, Op
from workbench.migrate.lift.tabular import Heads, MeanAnswer, Members, Network, Periodic, Piecewise
from workbench.migrate.retraining.networks import Net, Pbld, Scale, Tangent, scaling_of
from workbench.migrate.retraining.prepared import Prepared
from workbench.migrate.retraining.training import Trained, answers_of
from workbench.models import ModelError
from workbench.models.torch_file import asked

Floats = NDArray[np.float64]
NEAR = 1e-4
"""Largest difference between the network as trained, in float32, and as written, in float64."""
_LINKS = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}


def lifted(trained: Trained, prepared: Prepared) -> Lifted:
    """The network with everything before and after it, in float64.

    Raises ModelError if it answers otherwise than the network that was trained, on the rows it was checked on.
    """
    features = prepared.features(scaling_of(trained.recipe))
    task = prepared.card.task
    mean, scale = prepared.scale
    back = [Affine({}, {"factor": np.array([scale]), "offset": np.array([mean])})] if task == "regression" else []
    config = {"task": task, "link": "identity", "link_scale": 1.0, "label": "argmax", "scores": True}
    ending = Answer({**config, "raw": False, "float32": False})
    op = Chain({}, {}, [features.op, network_of(trained.module), MeanAnswer({"link": _LINKS[task]}), *back, ending])
    source = f"retrained: {trained.recipe.family}, {trained.best.epoch} epochs"
    card = replace(prepared.card, source=source, rows=rows_at_once(op))
    made = Lifted(Module(op).eval(), card)
    _hold(made, trained, prepared)
    return made


def export(trained: Trained, prepared: Prepared, path: Path) -> tuple[Path, ...]:
    """Write it as `path` (.pt2) with its plain spec; the files written. Raises ModelError as `lifted` does."""
    return lifted(trained, prepared).save(path)


def _hold(made: Lifted, trained: Trained, prepared: Prepared) -> None:
    rows = prepared.check
    features = prepared.features(scaling_of(trained.recipe)).of(rows.numbers, rows.codes)
    expected = answers_of(trained.module, torch.from_numpy(features), prepared.card.task)
    found = asked(made.module, rows.numbers, rows.codes, made.card.rows)
    mean, scale = prepared.scale
    said = (found["values"] - mean) / scale if prepared.card.task == "regression" else found["scores"]
    apart = float(np.abs(said - expected).max() / max(1.0, np.abs(expected).max()))
    if not apart <= NEAR:
        raise ModelError(
            f"the written network differs from the trained one by {apart:.2g}: this is a fault of the workbench, "
            "please report it; nothing was saved"
        )


def network_of(net: Net) -> Network:
    """The trained network as ops. Raises ModelError for a layer that has none."""
    parts = [*_embedded(net.embedding)]
    for layer in _layers(net.body):
        parts += _op(layer)
    return Network({}, {}, parts)


def _layers(module: nn.Module) -> list[nn.Module]:
    """Layers in their order, out of whatever holds them."""
    holds = nn.Sequential | nn.ModuleList | tabm.MLPBackboneBatchEnsemble
    return [leaf for child in module.children() for leaf in _layers(child)] if isinstance(module, holds) else [module]


def _op(layer: nn.Module) -> list[Op]:
    if isinstance(layer, nn.Dropout | tabm.EnsembleView):
        return []
    names = {nn.ReLU: "relu", nn.Mish: "mish", nn.SELU: "selu"}
    if type(layer) in names:
        return [Activation({"function": names[type(layer)]})]
    if isinstance(layer, Scale):
        return [Affine({}, {"factor": _plain(layer.factor)})]
    if isinstance(layer, nn.Linear):
        return [MatMul({}, {"weight": _plain(layer.weight).T, "bias": _plain(layer.bias)})]
    if isinstance(layer, Tangent):
        weight = _plain(layer.weight) / math.sqrt(layer.weight.shape[0])
        return [MatMul({}, {"weight": weight, "bias": _plain(layer.bias)})]
    if isinstance(layer, tabm.LinearBatchEnsemble):
        scales = {"before": _plain(layer.r), "after": _plain(layer.s), "bias": _plain(layer.bias)}
        return [Members({}, {"weight": _plain(layer.weight).T, **scales})]
    if isinstance(layer, tabm.LinearEnsemble):
        return [Heads({}, {"weight": _plain(layer.weight), "bias": _plain(layer.bias)})]
    raise ModelError(f"a layer {type(layer).__name__} has no form to be written in: this is a fault of the workbench")


def _embedded(module: Any) -> list[Op]:
    if module is None:
        return []
    if isinstance(module, Pbld):
        arrays = {name: _plain(getattr(module, name)) for name in ("frequency", "phase", "mix", "bias")}
        return [Periodic({"relu": False, "dense": True}, arrays)]
    if isinstance(module, embeddings.PeriodicEmbeddings):
        return [_waves(module)]
    return [_piecewise(module)]


def _waves(module: Any) -> Op:
    """Cosines, then sines as cosines a quarter behind."""
    frequency = _plain(module.periodic.weight)
    phase = np.concatenate([np.zeros_like(frequency), np.full_like(frequency, -np.pi / 2)], axis=1)
    arrays = {"frequency": np.concatenate([frequency, frequency], axis=1), "phase": phase}
    arrays |= {"mix": _plain(module.linear.weight), "bias": _plain(module.linear.bias)}
    return Periodic({"relu": module.activation is not None, "dense": False}, arrays)


def _piecewise(module: Any) -> Op:
    """Its first components end at 1, those between at 0 and 1, the last one at 0; a single bin has no end."""
    weight = _plain(module.impl.weight)
    low, high = np.zeros_like(weight), np.ones_like(weight)
    low[:, 0], high[:, -1] = -np.inf, np.inf
    if module.impl.single_bin_mask is not None:
        low[module.impl.single_bin_mask.numpy(), -1] = -np.inf
    arrays = {"weight": weight, "bias": _plain(module.impl.bias), "low": low, "high": high}
    arrays |= {"line": _plain(module.linear0.weight), "start": _plain(module.linear0.bias)}
    return Piecewise({}, {**arrays, "mix": _plain(module.linear.weight)})


def _plain(tensor: Tensor) -> Floats:
    return np.ascontiguousarray(tensor.detach().cpu().double().numpy())
