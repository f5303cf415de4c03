"""The shortest way through an exported program: its graph as one function, without torch's unpacking around it.

For a single row that unpacking costs more than a tree ensemble.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.export.graph_signature import InputKind

from workbench.models.tree_kernel.direct import Direct, Two
from workbench.models.tree_kernel.op import DIRECT, compiled

_HELD = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
_CHECKS = (torch.ops.aten._assert_scalar.default, torch.ops.aten._assert_tensor_metadata.default)
"""Of sizes that the operators check themselves."""


def flat(program: torch.export.ExportedProgram) -> Callable[..., Mapping[str, Any]] | None:
    """Inputs → named outputs; None for a program that takes or gives something else than tensors and names, or that
    holds graphs of its own, as a loop does."""
    if any(node.op == "get_attr" for node in program.graph.nodes):
        return None
    inputs = program.graph_signature.input_specs
    held = [spec for spec in inputs if spec.kind in _HELD]
    named = program.call_spec.out_spec
    if inputs[: len(held)] != held or any(spec.kind is not InputKind.USER_INPUT for spec in inputs[len(held) :]):
        return None
    if named is None or named.type is not dict or named.num_leaves != len(named.context):
        return None
    values = {**program.constants, **program.state_dict}
    state = [values[str(spec.target)] for spec in held]
    run, names = fx.GraphModule(nn.Module(), _direct(program.graph)).forward, tuple(named.context)

    def call(*tensors: Any) -> Mapping[str, Any]:
        return dict(zip(names, run(*state, *tensors)))

    return call


def _direct(source: fx.Graph) -> fx.Graph:
    """A copy with our operators called by the shorter way, and without checks."""
    graph = fx.Graph()
    graph.output(graph.graph_copy(source, {}))
    for node in list(graph.nodes):
        if node.target in _CHECKS:
            graph.erase_node(node)
        elif node.op == "call_function":
            node.target = DIRECT.get(node.target, node.target)
    graph.eliminate_dead_code()
    return graph


def direct(program: torch.export.ExportedProgram) -> Direct | None:
    """The kernels alone, for a program that is nothing but steps, trees and an ending that is compiled."""
    calls = [node for node in program.graph.nodes if node.op == "call_function" and node.target not in _CHECKS]
    names = [_NAMES.get(node.target, "") for node in calls]
    kinds = tuple(name for name in names if name not in _SIZES)
    if kinds not in _ENDINGS or compiled() is None:
        return None
    values = {**program.constants, **program.state_dict}
    held = {s.arg.name: values[str(s.target)] for s in program.graph_signature.input_specs if s.kind in _HELD}
    words = {name: held[node.args[2].name] for name, node in zip(names, calls) if name in _WORDED}
    last, outputs = calls[names.index(kinds[-1])], program.call_spec.out_spec.context
    if kinds[-1] == "votes":
        return Direct(words.get("row_steps"), words["tree_ensemble"], None) if outputs == _OUTPUTS[:2] else None
    single, scale, rule = last.args[-3:]
    ending = Two(bool(single), float(scale), int(rule))
    return Direct(words.get("row_steps"), words["tree_classes"], ending) if outputs == _OUTPUTS else None


_OUTPUTS = ["scores", "label", "raw"]
_OURS = torch.ops.workbench
_OPERATORS = ("row_steps", "tree_ensemble", "tree_classes", "votes")
_NAMES: dict[Any, str] = {
    **{getattr(_OURS, name).default: name for name in _OPERATORS},
    operator.getitem: "item",
    torch.ops.aten.sym_size.int: "size",
}
_SIZES = ("item", "size")
_WORDED = ("row_steps", "tree_ensemble", "tree_classes")
_ENDINGS = frozenset(
    (*before, *ending) for before in ((), ("row_steps",)) for ending in (("tree_classes",), ("tree_ensemble", "votes"))
)
