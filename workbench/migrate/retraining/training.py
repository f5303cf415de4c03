"""Training: steps, checks, the best weights, and the same result after a kill as without one.

Every epoch draws its order and its dropout from the seed and its own number, so that an epoch done again after a kill
is the same to the last bit on one kind of CPU with as many threads. Under torchrun the processes share each batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tabm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from workbench.migrate.retraining.checkpoint import Epoch, Kept
from workbench.migrate.retraining.networks import Net, Scale, build, scaling_of
from workbench.migrate.retraining.prepared import Prepared, Rows
from workbench.migrate.retraining.recipe import Recipe
from workbench.migrate.retraining.sharing import Ranks
from workbench.models import ModelError

__all__ = ["Diverged", "Epoch", "Trained", "train"]

BLOCK = 4_096
"""Rows checked at once."""
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Diverged(ModelError):  # noqa: N818 - what happened to it
    """The loss is no number any more."""


@dataclass(frozen=True)
class Trained:
    """module: float32, on the CPU, with the weights of the best epoch. curve: every epoch; best: the one with the
    lowest check. seconds: of training. notes: what was noticed, in sentences."""

    recipe: Recipe
    module: Net
    curve: tuple[Epoch, ...]
    best: Epoch
    seconds: float
    notes: tuple[str, ...] = ()


def _quiet(epoch: Epoch) -> None:
    pass


def train(
    recipe: Recipe,
    prepared: Prepared,
    *,
    folder: Path | None = None,
    told: Callable[[Epoch], None] = _quiet,
    device: str = "",
) -> Trained:
    """Train by a recipe until the check gets no better. folder: for the checkpoint, the curve and TensorBoard's files;
    a training that was killed there goes on, and one that ended there is read back.

    told: hears of every epoch; what it raises ends training and comes out here. device: as torch names it; left out, a
    GPU where there is one. Raises Diverged, ModelError.
    """
    ranks = Ranks.here()
    with torch.random.fork_rng(devices=[]):
        run = _Run(recipe, prepared, ranks.place(device), ranks)
        kept = Kept(folder, recipe, run.key, writes=ranks.first)
        if (state := kept.read()) is not None:
            run.restore(state)
        ranks.wait()
        kept.begin(run.curve)
        try:
            _epochs(run, kept, told)
        finally:
            kept.close()
        return run.done(kept.note)


def _epochs(run: _Run, kept: Kept, told: Callable[[Epoch], None]) -> None:
    while not run.over:
        epoch = run.epoch()
        kept.add(epoch)
        kept.write(run.state(), at_once=run.over)
        told(epoch)


class _Run:
    """One training and all that changes in it."""

    def __init__(self, recipe: Recipe, prepared: Prepared, device: torch.device, ranks: Ranks) -> None:
        self.recipe, self.card, self.device, self.ranks = recipe, prepared.card, device, ranks
        self.key = f"{recipe.key} {prepared.fingerprint} {torch.__version__} {tabm.__version__} {device.type}"
        features = prepared.features(scaling_of(recipe))
        mean, scale = prepared.scale
        self.fit = _Side(features.of(prepared.fit.numbers, prepared.fit.codes), prepared.fit, device)
        self.check = _Side(features.of(prepared.check.numbers, prepared.check.codes), prepared.check, device)
        self.target = _targets(recipe, prepared, mean, scale).to(device)
        self.truth = (prepared.check.truth - mean) / scale if self.card.task == "regression" else prepared.check.truth
        torch.manual_seed(recipe.seed)
        self.net = build(recipe, features, self.fit.x.cpu(), self.card).to(device)
        self.shared = ranks.share(self.net)
        self.optimizer = _optimizer(recipe, self.net)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
        self.mean_weights = [p.detach().clone() for p in self.net.parameters()] if recipe.ema else []
        self.best_weights: list[Tensor] = []
        self.curve: list[Epoch] = []
        self.best = 0
        self.step = 0

    @property
    def over(self) -> bool:
        done = len(self.curve)
        return done >= self.recipe.epochs or (done > 0 and done - self.best >= self.recipe.patience)

    def epoch(self) -> Epoch:
        before = self.curve[-1].seconds if self.curve else 0.0
        clock, number = time.monotonic(), len(self.curve) + 1
        loss = self._pass(number)
        chances = self._answers()
        check, metric = self.ranks.told([*figures(chances, self.truth, self.check.weight, self.card.task), loss])[:2]
        if not (math.isfinite(loss) and math.isfinite(check)):
            raise Diverged(
                f"the loss is no number any more in epoch {number}: lower learning_rate "
                f"({self.recipe.learning_rate:g}) or clip ({self.recipe.clip:g})"
            )
        seconds = before + time.monotonic() - clock
        left = seconds / number * (self.recipe.epochs - number)
        rate = float(self.optimizer.param_groups[0]["lr"])
        self.curve.append(Epoch(number, loss, check, metric, rate, seconds, left))
        if number == 1 or check < self.curve[self.best - 1].check:
            self.best, self.best_weights = number, [p.detach().clone() for p in self._weights()]
        return self.curve[-1]

    def _pass(self, number: int) -> float:
        recipe, n = self.recipe, len(self.fit.x)
        torch.manual_seed(_mixed(recipe.seed, number, self.ranks.rank))
        order = torch.randperm(n, generator=torch.Generator().manual_seed(_mixed(recipe.seed, number, -1)))
        steps = -(-n // recipe.batch_size)
        self.net.train()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for at in range(steps):
            rows = order[at * recipe.batch_size : (at + 1) * recipe.batch_size].to(self.device)
            self._pace((number - 1 + at / steps) / recipe.epochs)
            total += self._one(rows)
        return float(self.ranks.sum(total)) / float(self.fit.weight.sum())

    def _pace(self, share: float) -> None:
        factor = _coslog4(share) if self.recipe.family == "realmlp" else 1.0
        for group, rate in zip(self.optimizer.param_groups, self.rates):
            group["lr"] = rate * factor

    def _one(self, rows: Tensor) -> Tensor:
        """One step on a batch, of which each process takes its part; the weighted sum of its losses."""
        mine, whole = self.ranks.part(rows), self.fit.weight[rows].sum()
        with _autocast(self.recipe, self.device):
            answers = self.shared(self.fit.x[mine])
        losses = loss_of(answers.float(), self.target[mine], self.card.task) * self.fit.weight[mine]
        self.optimizer.zero_grad(set_to_none=True)
        # The processes' gradients are averaged: times their number, it is the sum over the whole batch.
        self.scaler.scale(losses.sum() / whole * self.ranks.count).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1
        if self.mean_weights:
            decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.mean_weights, [p.detach() for p in self.net.parameters()], 1 - decay)
        return losses.detach().double().sum()

    def _weights(self) -> list[Tensor]:
        return self.mean_weights or [p.detach() for p in self.net.parameters()]

    def _answers(self) -> NDArray[np.float64]:
        """Of the weights that would be kept, on the rows to check on."""
        own = [p.detach().clone() for p in self.net.parameters()]
        _put(self.net, self._weights())
        found = answers_of(self.net, self.check.x, self.card.task)
        _put(self.net, own)
        return found

    def state(self) -> dict[str, Any]:
        return {
            "weights": [p.detach().cpu() for p in self.net.parameters()],
            "mean": [p.cpu() for p in self.mean_weights],
            "best_weights": [p.cpu() for p in self.best_weights],
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "curve": [asdict(one) for one in self.curve],
            "best": self.best,
            "step": self.step,
        }

    def restore(self, state: dict[str, Any]) -> None:
        _put(self.net, state["weights"])
        self.mean_weights = [p.to(self.device) for p in state["mean"]]
        self.best_weights = [p.to(self.device) for p in state["best_weights"]]
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.curve = [Epoch(**one) for one in state["curve"]]
        self.best, self.step = int(state["best"]), int(state["step"])

    def done(self, note: str) -> Trained:
        _put(self.net, self.best_weights)
        module = self.net.to("cpu").eval().requires_grad_(False)
        notes = (note,) if note else ()
        return Trained(self.recipe, module, tuple(self.curve), self.curve[self.best - 1], self.curve[-1].seconds, notes)


class _Side:
    """Rows as tensors where training happens."""

    def __init__(self, x: NDArray[np.float32], rows: Rows, device: torch.device) -> None:
        self.x = torch.from_numpy(x).to(device)
        self.weight = torch.from_numpy(rows.weight.astype(np.float32)).to(device)


def _mixed(seed: int, number: int, what: int) -> int:
    """One seed of three numbers, spread so that no two of them meet."""
    sequence = np.random.SeedSequence([abs(seed), int(seed < 0), number, what + 1])
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def _targets(recipe: Recipe, prepared: Prepared, mean: float, scale: float) -> Tensor:
    """What is learnt, of each row to fit on: (1 - distill) of the truth and distill of the legacy model's answer.

    Cross-entropy and squared error are linear in it, up to a constant: their weighted sum is the loss of this mix.
    [n, classes], or [n, 1]: the chance of the second of two classes, or the standardised value.
    """
    rows, share = prepared.fit, recipe.distill if prepared.fit.legacy is not None else 0.0
    if prepared.card.task == "regression":
        truth, legacy = rows.truth[:, None], None if rows.legacy is None else rows.legacy[:, None]
    else:
        count = len(prepared.card.classes)
        truth = np.eye(count)[rows.truth] * (1 - recipe.smoothing) + recipe.smoothing / count
        legacy = rows.legacy
    mixed = truth
    if legacy is not None and share:
        answered = np.isfinite(legacy).all(axis=1, keepdims=True)
        mixed = np.where(answered, (1 - share) * truth + share * np.where(answered, legacy, 0.0), truth)
    mixed = (mixed - mean) / scale
    return torch.from_numpy((mixed[:, 1:] if prepared.card.task == "binary" else mixed).astype(np.float32))


def loss_of(answers: Tensor, target: Tensor, task: str) -> Tensor:
    """The mean over members of each one's own loss [n]. answers [n, k, o], target [n, o]."""
    target = target.unsqueeze(1).expand_as(answers)
    if task == "binary":
        each = functional.binary_cross_entropy_with_logits(answers, target, reduction="none").squeeze(2)
    elif task == "multiclass":
        each = -(target * torch.log_softmax(answers, dim=2)).sum(dim=2)
    else:
        each = (answers - target).square().squeeze(2)
    return each.mean(dim=1)


def answers_of(net: nn.Module, x: Tensor, task: str) -> NDArray[np.float64]:
    """The mean of the members: chances [n, classes], or standardised values [n]."""
    net.eval()
    with torch.inference_mode():
        raw = torch.cat([net(x[at : at + BLOCK]) for at in range(0, len(x), BLOCK)]).double()
    if task == "regression":
        return np.asarray(raw.mean(dim=1)[:, 0].cpu().numpy())
    chance = torch.sigmoid(raw) if task == "binary" else torch.softmax(raw, dim=2)
    mean = chance.mean(dim=1)
    return np.asarray((torch.cat([1 - mean, mean], dim=1) if task == "binary" else mean).cpu().numpy())


def figures(answers: NDArray[np.float64], truth: NDArray[Any], weight: Tensor, task: str) -> tuple[float, float]:
    """Log-loss and area under the ROC curve (two classes) or accuracy; or root mean squared error and R²."""
    weights = weight.double().cpu().numpy()
    if task == "regression":
        squares = np.average((answers - truth) ** 2, weights=weights)
        spread = np.average((truth - np.average(truth, weights=weights)) ** 2, weights=weights)
        return float(np.sqrt(squares)), float(1 - squares / spread) if spread else math.nan
    chosen = answers[np.arange(len(truth)), truth].clip(1e-15)
    loss = float(np.average(-np.log(chosen), weights=weights))
    if task == "binary" and 0 < truth.sum() < len(truth):
        from sklearn.metrics import roc_auc_score

        return loss, float(roc_auc_score(truth, answers[:, 1], sample_weight=weights)) if math.isfinite(loss) else 0.0
    return loss, float(np.average(answers.argmax(axis=1) == truth, weights=weights))


def _optimizer(recipe: Recipe, net: Net) -> torch.optim.AdamW:
    """AdamW; embeddings and biases do not decay, and like-RealMLP's scales and biases have rates of their own."""
    tangent = recipe.family == "realmlp"
    scales = {id(p) for module in net.modules() if isinstance(module, Scale) for p in module.parameters()}
    groups: list[dict[str, Any]] = []
    for name, parameter in net.named_parameters():
        bias = name.endswith("bias")
        factor = 6.0 if id(parameter) in scales else 0.1 if bias and tangent else 1.0
        decay = 0.0 if bias or name.startswith("embedding.") else recipe.weight_decay
        groups.append({"params": [parameter], "lr": recipe.learning_rate * factor, "weight_decay": decay})
    return torch.optim.AdamW(_merged(groups), betas=(0.9, 0.95) if tangent else (0.9, 0.999))


def _merged(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: dict[tuple[float, float], dict[str, Any]] = {}
    for group in groups:
        same = merged.setdefault((group["lr"], group["weight_decay"]), {**group, "params": []})
        same["params"] += group["params"]
    return list(merged.values())


def _coslog4(share: float) -> float:
    """The schedule of RealMLP: four cycles, each twice as long as the one before."""
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * share)))


def _autocast(recipe: Recipe, device: torch.device) -> Any:
    kind = TYPES.get(recipe.precision)
    return torch.autocast(device.type, dtype=kind) if kind else nullcontext()


def _put(net: nn.Module, weights: list[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), weights, strict=True):
            parameter.copy_(value)
