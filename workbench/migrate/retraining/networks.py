"""The networks, as they are trained. TabM and embeddings are their authors' own (`tabm`, `rtdl_num_embeddings`)."""

from __future__ import annotations

import math
import warnings
from typing import Any

import rtdl_num_embeddings as embeddings
import tabm
import torch
from torch import Tensor, nn

from workbench.migrate.retraining.features import Features, Scaling
from workbench.migrate.retraining.recipe import Recipe
from workbench.models.torch_file import Card

FREQUENCIES, PBLD_WIDTH, PBLD_SCALE = 16, 4, 0.1
"""Of like-RealMLP's periodic embeddings, as published: waves, numbers for each, and spread of the frequencies."""
WAVES, WAVE_SCALE = 24, 0.05
"""Of periodic embeddings in the other families."""


def scaling_of(recipe: Recipe) -> Scaling:
    """RealMLP takes robustly scaled numbers; embeddings and TabM take ranks, as their authors do."""
    return "robust" if recipe.family == "realmlp" else "quantile"


class Net(nn.Module):
    """Features [n, m] → what each of k members answers [n, k, outputs]: logits, or standardised values."""

    def __init__(self, numbers: int, embedding: nn.Module | None, body: nn.Module) -> None:
        super().__init__()
        self.numbers, self.embedding, self.body = numbers, embedding, body

    def forward(self, x: Tensor) -> Tensor:
        if self.embedding is not None:
            x = torch.cat([self.embedding(x[:, : self.numbers]).flatten(1), x[:, self.numbers :]], dim=1)
        found: Tensor = self.body(x)
        return found if found.dim() == 3 else found.unsqueeze(1)


def outputs_of(card: Card) -> int:
    """Numbers that a network answers with: a logit for each class, one for two of them, or a value."""
    return len(card.classes) if card.task == "multiclass" else 1


def build(recipe: Recipe, features: Features, rows: Tensor, card: Card) -> Net:
    """A network with fresh weights from torch's current seed. rows: float32 [n, m] to fit on, which bins come from."""
    outputs, embedding = outputs_of(card), _embedding(recipe, rows[:, : features.numbers])
    width = 1 if embedding is None else embedding.get_output_shape()[1]
    sizes = [width] * features.numbers + list(features.widths)
    if recipe.family == "tabm":
        return Net(features.numbers, embedding, _tabm(recipe, sizes, outputs, embedding is not None))
    if recipe.family == "mlp":
        return Net(features.numbers, embedding, _mlp(recipe, sum(sizes), outputs))
    activation = nn.Mish if card.task == "regression" else nn.SELU
    return Net(features.numbers, embedding, like_realmlp(recipe, sum(sizes), outputs, activation))


def _embedding(recipe: Recipe, numbers: Tensor) -> Any:
    count = numbers.shape[1]
    if not count or recipe.embeddings == "none":
        return None
    if recipe.embeddings == "periodic":
        if recipe.family == "realmlp":
            return Pbld(count)
        return embeddings.PeriodicEmbeddings(
            count, recipe.embedding_width, n_frequencies=WAVES, frequency_init_scale=WAVE_SCALE, lite=False
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a column of two values has one bin, and the library remarks on it
        bins = embeddings.compute_bins(numbers, n_bins=max(2, min(recipe.bins, len(numbers) - 1)))
        return embeddings.PiecewiseLinearEmbeddings(bins, recipe.embedding_width, activation=False, version="B")


def _tabm(recipe: Recipe, sizes: list[int], outputs: int, embedded: bool) -> nn.Module:
    """TabM with the scales of its first layer drawn for each column, normal with embeddings and signs without."""
    backbone = tabm.make_tabm_backbone(
        d_in=sum(sizes),
        n_blocks=recipe.depth,
        d_block=recipe.width,
        dropout=recipe.dropout,
        k=recipe.members,
        start_scaling_init="normal" if embedded else "random-signs",
        start_scaling_init_chunks=sizes,
    )
    head = tabm.LinearEnsemble(recipe.width, outputs, k=recipe.members)
    return nn.Sequential(tabm.EnsembleView(k=recipe.members), backbone, head)


def _mlp(recipe: Recipe, inputs: int, outputs: int) -> nn.Module:
    layers: list[nn.Module] = []
    for size in [inputs, *[recipe.width] * (recipe.depth - 1)]:
        layers += [nn.Linear(size, recipe.width), nn.ReLU(), nn.Dropout(recipe.dropout)]
    return nn.Sequential(*layers, nn.Linear(recipe.width, outputs))


def like_realmlp(recipe: Recipe, inputs: int, outputs: int, activation: type[nn.Module]) -> nn.Module:
    """A network like RealMLP-TD (Holzmüller, Grinsztajn, Steinwart 2024).

    Like it: robust scaling with smooth clipping, one-hot columns, PBLD embeddings, a scaling layer with 6 times the
    learning rate, layers in neural-tangent parametrisation, biases at a tenth of the rate, SELU (classes) or Mish
    (values), label smoothing, the coslog4 schedule, Adam with betas 0.9 and 0.95. Unlike it: weights and biases are
    drawn without looking at data, activations have no learnt slope, categories have no learnt embeddings, dropout and
    weight decay stay as they are throughout, and the weights kept may be an average.
    """
    layers: list[nn.Module] = [Scale(inputs)]
    for size in [inputs, *[recipe.width] * (recipe.depth - 1)]:
        layers += [Tangent(size, recipe.width), activation(), nn.Dropout(recipe.dropout)]
    return nn.Sequential(*layers, Tangent(recipe.width, outputs))


class Scale(nn.Module):
    """A factor for each column."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Tangent(nn.Module):
    """`x weight / sqrt(inputs) + bias`, both drawn from the standard normal: the neural-tangent parametrisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.randn(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight / math.sqrt(self.weight.shape[0]) + self.bias


class Pbld(nn.Module):
    """Periodic embeddings with bias, a linear layer, and the number itself beside it: [n, d] → [n, d, 4]."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(PBLD_SCALE * torch.randn(count, FREQUENCIES))
        self.phase = nn.Parameter((2 * torch.rand(count, FREQUENCIES) - 1) * math.pi)
        bound = 1 / math.sqrt(FREQUENCIES)
        self.mix = nn.Parameter((2 * torch.rand(count, FREQUENCIES, PBLD_WIDTH - 1) - 1) * bound)
        self.bias = nn.Parameter((2 * torch.rand(count, PBLD_WIDTH - 1) - 1) * bound)

    def get_output_shape(self) -> torch.Size:
        return torch.Size((self.frequency.shape[0], PBLD_WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        number = x[:, :, None]
        wave = torch.cos(2 * math.pi * self.frequency * number + self.phase)
        return torch.cat([number, torch.einsum("ndf,dfe->nde", wave, self.mix) + self.bias], dim=2)
