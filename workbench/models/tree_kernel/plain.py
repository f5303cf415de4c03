"""The operator in plain torch operators, from the same words: any device, no compiler, the same bits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from workbench.models.tree_kernel.program import CODE, CODED, COLUMN, HEADER

TINY = 1.0000000180025095e-35
CELLS = 4_000_000
"""Rows x trees walked at once, at most: it bounds the memory."""


def tree_ensemble(numbers: Tensor, codes: Tensor, program: Tensor) -> Tensor:
    """Raw sums [n, K] of a checked program."""
    head = dict(zip(HEADER, program[: len(HEADER)].tolist()))
    step = max(1, CELLS // head["trees"])
    parts = [_sums(head, program, *rows) for rows in zip(torch.split(numbers.double(), step), torch.split(codes, step))]
    return torch.cat(parts) if parts else numbers.new_empty((0, head["outputs"]), dtype=torch.float64)


def _sums(head: dict[str, int], program: Tensor, numbers: Tensor, codes: Tensor) -> Tensor:
    leaf = _leaves(head, program, tests_of(head, program, numbers, codes))
    width, outputs, n = head["width"], head["outputs"], len(numbers)
    values = _part(program, head["at_values"], head["leaves"] * width).view(torch.float64).view(-1, width)
    base = _part(program, head["at_base"], outputs).view(torch.float64)
    total = torch.zeros((n, outputs), dtype=torch.float64, device=numbers.device)
    each = head["trees"] if width > 1 else head["trees"] // outputs
    for step in range(each):
        rows = leaf[step::each].t().reshape(-1)
        added = total + values.index_select(0, rows).view(n, outputs)
        total = added.float().double() if head["single"] else added
    divide = _part(program, HEADER["divide"], 1).view(torch.float64)
    return total / divide + base


def _part(program: Tensor, place: int, length: int) -> Tensor:
    return program[place : place + length]


def _leaves(head: dict[str, int], program: Tensor, tests: Tensor) -> Tensor:
    """Rows of values [T, n]; tests [R, n]."""
    nodes = _part(program, head["at_nodes"], head["nodes"])
    roots = _part(program, head["at_roots"], head["trees"])
    limit_bits, test_bits = head["limit_bits"], head["test_bits"]
    limits, all_tests = (1 << limit_bits) - 1, (1 << test_bits) - 1
    node = nodes.index_select(0, roots)[:, None].expand(-1, tests.shape[1])
    while bool((test := (node >> limit_bits) & all_tests).any()):
        at = (node >> (limit_bits + test_bits)) + (tests.gather(0, test) > (node & limits))
        node = nodes.index_select(0, at.reshape(-1)).view(at.shape)
    return node & limits


def tests_of(head: dict[str, int], program: Tensor, numbers: Tensor, codes: Tensor) -> Tensor:
    """What the nodes compare, [R, n]."""
    tests = torch.zeros((head["tests"], len(numbers)), dtype=torch.int64, device=numbers.device)
    if head["float32"]:
        numbers = numbers.float().double()
    records = _part(program, head["at_columns"], head["columns"] * len(COLUMN)).view(-1, len(COLUMN))
    for record in records.tolist():
        said = dict(zip(COLUMN, record))
        if said["kind"] == CODE:
            symbol = codes[:, said["source"]] + 3
            _sets(head, said, program, torch.where((symbol > 0) & (symbol < said["count"]), symbol, 0), tests)
        elif said["kind"] == CODED:
            _sets(head, said, program, _coded(numbers[:, said["source"]], said["count"]), tests)
        else:
            _numbers(head, said, program, numbers[:, said["source"]].contiguous(), tests)
    return tests


def _numbers(head: dict[str, int], said: dict[str, Any], program: Tensor, x: Tensor, tests: Tensor) -> None:
    edges = _part(program, head["at_edges"] + said["first"], said["count"]).view(torch.float64)
    missing = x.isnan()
    value = torch.searchsorted(edges, torch.where(missing, 0.0, x), right=bool(head["right"])) + 1
    if said["zero"]:
        missing = missing | (x.abs() <= TINY)
    for side in ("low", "high"):
        if said[side] >= 0:
            tests[said[side]] = torch.where(missing, said[f"{side}_absent"], value)


def _coded(x: Tensor, count: int) -> Tensor:
    inside = (x >= 0) & (x < count)
    return torch.where(x.isnan(), count + 1, torch.where(inside, torch.where(inside, x, 0.0).long(), count))


def _sets(head: dict[str, int], said: dict[str, int], program: Tensor, symbol: Tensor, tests: Tensor) -> None:
    first, words = head["at_sets"] + said["first"], said["set_words"]
    table = _part(program, first, said["sets"] * words).view(said["sets"], words)
    bit = (table.index_select(1, symbol >> 6) >> (symbol & 63)) & 1
    tests[said["first_test"] : said["first_test"] + said["sets"]] = bit


def tree_classes(
    numbers: Tensor, codes: Tensor, program: Tensor, single: bool, scale: float, rule: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, label and margin (see `op.tree_classes`)."""
    return two_classes(tree_ensemble(numbers, codes, program), single, scale, rule)


def two_classes(raw: Tensor, single: bool, scale: float, rule: int) -> tuple[Tensor, Tensor, Tensor]:
    """Margins [n, 1] → scores, label and margin."""
    if single:
        second = (1.0 / (torch.exp((-raw.float() * scale).clamp(max=88.7).double()).float() + 1.0)).double()
        scores = torch.cat([(1.0 - second).float().double(), second], dim=1)
    else:
        second = 1.0 / (torch.exp(-(raw * scale)) + 1.0)
        scores = torch.cat([1.0 - second, second], dim=1)
    margin = raw[:, 0]
    chosen = margin > 0 if rule == 0 else margin >= 0 if rule == 1 else scores[:, 1] > scores[:, 0]
    return scores, chosen.long(), margin
