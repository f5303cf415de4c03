"""The last op of a lifted model: raw sums to the outputs the legacy model gives, its own decision included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from workbench.migrate.lift.columns import CannotLift, Context
from workbench.migrate.lift.ops import Op, Outputs
from workbench.models.protocol import Piece, Plain

Label = Literal["raw>0", "raw>=0", "argmax-raw", "argmax"]


class Answer(Op):
    """Raw sums [n, K] → named outputs: "scores" [n, k] or "values" [n]; "label" int64 [n], place of the class, -1 for
    none; "raw".

    config: task; link; link_scale; label (its decision rule); scores (False: it only decides); raw (whether the sums
    are a margin); float32 (the library answers in float32: sums and scores are rounded to it); unanswered (a row may
    have no answer).
    """

    name = "answer"

    def forward(self, x: Tensor, codes: Tensor) -> Outputs:
        raw = x.float().double() if self.config["float32"] else x
        if self.config["task"] == "regression":
            values = self._rounded(linked(raw, self.config)[:, 0])
            return {"values": values, "raw": raw[:, 0]} if self.config["raw"] else {"values": values}
        outputs: Outputs = {}
        if self.config["scores"]:
            outputs["scores"] = self._scores(raw)
        outputs["label"] = self._answered(raw, self._label(raw, outputs))
        if self.config["raw"]:
            outputs["raw"] = raw[:, 0] if raw.shape[1] == 1 else raw
        return outputs

    def _scores(self, raw: Tensor) -> Tensor:
        scores = self._rounded(linked(raw, self.config))
        return torch.cat([self._rounded(1.0 - scores), scores], dim=1) if scores.shape[1] == 1 else scores

    def _label(self, raw: Tensor, outputs: Outputs) -> Tensor:
        rule = self.config["label"]
        if rule == "argmax":
            return outputs["scores"].argmax(dim=1)
        if rule == "argmax-raw":
            return raw.argmax(dim=1)
        return ((raw[:, 0] > 0) if rule == "raw>0" else (raw[:, 0] >= 0)).long()

    def _answered(self, raw: Tensor, label: Tensor) -> Tensor:
        """No class for a row without scores, where the source gives none."""
        return torch.where(torch.isnan(raw).any(dim=1), -1, label) if self.config.get("unanswered") else label

    def _rounded(self, scores: Tensor) -> Tensor:
        return scores.float().double() if self.config["float32"] else scores


def linked(raw: Tensor, config: dict[str, Plain]) -> Tensor:
    """Raw sums through the link. "huber": (clip(raw, -1, 1) + 1) / 2 (Zhang 2002), each class on its own."""
    link = config["link"]
    if config["float32"] and link in ("sigmoid", "softmax"):
        return _single(raw.float(), str(link), float(config["link_scale"])).double()  # type: ignore[arg-type]
    if link == "softmax":
        return torch.softmax(raw, dim=1)
    if link in ("sigmoid", "sigmoid-ova"):
        scale = float(config["link_scale"])  # type: ignore[arg-type]
        # Not torch's sigmoid: its bits change with a value's place among the others.
        return 1.0 / (torch.exp(-(raw * scale)) + 1.0)
    if link in ("sigmoid-shares", "huber-shares", "huber"):
        chance = torch.sigmoid(raw) if link == "sigmoid-shares" else (raw.clamp(-1.0, 1.0) + 1.0) / 2.0
        return chance if link == "huber" else _shares(chance)
    return CURVES[str(link)](raw) if link in CURVES else raw


CURVES: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp,
    "one-minus-exp": lambda raw: -torch.expm1(-torch.exp(raw)),
    "log1p-exp": lambda raw: torch.log1p(torch.exp(raw)),
    "signed-square": lambda raw: torch.sign(raw) * raw * raw,
    "loglog": lambda raw: torch.exp(-torch.exp(-raw)),
    "logc": lambda raw: 1.0 - torch.exp(raw),
    "probit": torch.special.ndtr,
    "cauchit": lambda raw: 0.5 + torch.atan(raw) / torch.pi,
}
"""Links of one sum; any other leaves it as it is."""


def _single(raw: Tensor, link: str, scale: float) -> Tensor:
    """The link in float32 and in the library's own steps (XGBoost's `common/math.h`), so that bits are the same.

    The exponential alone is taken in float64 and rounded, as a correctly rounded expf is.
    """
    if link == "sigmoid":
        return 1.0 / (torch.exp((-raw * scale).clamp(max=88.7).double()).float() + 1.0)
    powers = torch.exp((raw - raw.amax(dim=1, keepdim=True)).double()).float()
    return powers / powers.double().sum(dim=1, keepdim=True).float()


def _shares(chance: Tensor) -> Tensor:
    """Normalised over the classes; uniform where all are zero."""
    total = chance.sum(1, keepdim=True)
    return torch.where(total == 0, 1.0 / chance.shape[1], chance / torch.where(total == 0, 1.0, total))


def answer_op(
    piece: Piece,
    context: Context,
    outputs: int,
    *,
    link: str = "identity",
    link_scale: float = 1.0,
    label: Label = "argmax",
    scores: bool = True,
    raw: bool = True,
    float32: bool = False,
    unanswered: bool = False,
) -> Op:
    """Answer for `outputs` raw sums. Raises CannotLift where they do not fit the model's classes."""
    classes, task = len(context.classes), context.task
    fits = outputs == 1 if task == "regression" else outputs == classes or (outputs == 1 and classes == 2)
    if not fits:
        raise CannotLift(piece.kind, f"it gives {outputs} outputs for a {task} task with {classes} classes")
    config: dict[str, Plain] = {
        "task": task,
        "link": link,
        "link_scale": link_scale,
        "label": label,
        "scores": scores,
        "raw": raw,
        "float32": float32,
    }
    if unanswered:
        config["unanswered"] = True
    return Answer(config)
