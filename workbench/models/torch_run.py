"""The shortest way through an exported program: its graph as one function, without torch's unpacking around it.

For a single row that unpacking costs more than a tree ensemble.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.export.graph_signature import InputKind

from workbench.models.tree_kernel.op import DIRECT

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
