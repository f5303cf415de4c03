"""From a lifted model to an ONNX file, and the proof that onnxruntime answers from it as torch does."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from workbench.migrate.export import edges
from workbench.migrate.export.graph import ML, ML_OPSET, OPSET, Graph, NoForm
from workbench.migrate.lift.ops import Chain, Op
from workbench.migrate.lift.tree_op import TreeClasses, TreeEnsemble
from workbench.models.torch_file import CARD

if TYPE_CHECKING:
    from workbench.migrate.lift.lifted import Lifted

IR_VERSION = 9
"""Of onnx 1.14, 2023: an onnxruntime from 1.15 on reads it."""


@dataclass(frozen=True)
class Exported:
    """What became of it. path: None where nothing was written, for the `reason`.

    operators: those of the file. largest: the largest difference from torch's answer per output, as a share of the
    largest number of its block where that is above 1; over `probes` rows.
    """

    path: Path | None
    reason: str = ""
    operators: tuple[str, ...] = ()
    largest: tuple[tuple[str, float], ...] = ()
    probes: int = 0


def to_onnx(lifted: Lifted, path: Path | str) -> Exported:
    """Write the model as an ONNX file of standard operators, raw columns in, and keep it only if onnxruntime answers
    from it as torch does (see `agreement`). A model that has no such form leaves no file, and the reason.
    """
    from workbench.migrate.export.agreement import differences

    path = Path(path)
    path.unlink(missing_ok=True)
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401 - nothing is kept that was not run
    except ImportError as error:
        return Exported(None, f"{error.name} is not installed: install the extra 'models'")
    try:
        model = document(lifted)
    except NoForm as refusal:
        return Exported(None, f"it has no exact form in ONNX's standard operators: {refusal}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    largest, rows, reason = differences(lifted, path)
    if reason:
        path.unlink()
        return Exported(None, reason, probes=rows)
    operators = tuple(sorted({f"{node.domain or 'ai.onnx'}.{node.op_type}" for node in model.graph.node}))
    return Exported(path, "", operators, tuple(largest.items()), rows)


def document(lifted: Lifted) -> Any:
    """The model as an ONNX ModelProto. Raises NoForm naming what has no form in it."""
    from onnx import helper, numpy_helper

    graph, card = Graph(), lifted.card
    inputs = edges.ports(card.edge)
    outputs = _outputs(graph, lifted)
    made = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
            for name, kind, shape in (*inputs, *outputs)]  # fmt: skip
    # Words of a tree program are read here, and are no part of the file.
    used = {name for node in graph.nodes for name in node.input}
    whole = helper.make_graph(
        graph.nodes,
        "lifted",
        made[: len(inputs)],
        made[len(inputs) :],
        initializer=[numpy_helper.from_array(array, name) for name, array in graph.constants.items() if name in used],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]
    model = helper.make_model(whole, opset_imports=opsets, ir_version=IR_VERSION, producer_name="migration-workbench")
    helper.set_model_props(model, {CARD: json.dumps(card.to_plain())})
    return model


def _outputs(graph: Graph, lifted: Lifted) -> list[edges.Port]:
    """The whole graph, from raw columns to the outputs, which are these."""
    card = lifted.card
    named = translated(graph, lifted)
    if "values" in named:
        return [_output(graph, "values", named["values"], np.float64, ("rows",))]
    place = named.get("label") or graph.add("ArgMax", named["scores"], axis=1, keepdims=0)
    label, kind = edges.label(graph, place, card.classes)
    made = [_output(graph, "label", label, kind, ("rows",))]
    if "scores" in named:
        made.append(_output(graph, "scores", named["scores"], np.float64, ("rows", len(card.classes))))
    return made


def _output(graph: Graph, name: str, made: str, kind: Any, shape: tuple[str | int, ...]) -> edges.Port:
    from onnx import helper

    graph.nodes.append(helper.make_node("Identity", [made], [name], f"/{name}"))
    return name, kind, shape


def translated(graph: Graph, lifted: Lifted) -> dict[str, str]:
    """Named outputs of the lifted module as names in the graph. Raises NoForm for an operator without a form."""
    from workbench.migrate.export import arrange  # noqa: F401 - fills the table
    from workbench.migrate.export.operators import DTYPES, OPERATORS, Walk

    program = _exported(lifted)
    walk = Walk(graph, edges.rows(graph, lifted.card.edge))
    given = iter(edges.tensors(graph, lifted.card.edge))
    for node in program.graph.nodes:
        if node.op == "placeholder":
            constant = _constant(program, node.name)
            walk.made[node] = next(given) if constant is None else graph.constant(constant.numpy())
            if constant is None and node.users and not walk.made[node]:
                shape = walk.shape(node.meta["val"].shape)
                walk.made[node] = graph.add("Expand", graph.constant(0, DTYPES[node.meta["val"].dtype]), shape)
        elif node.op == "call_function" and (node.users or node.target is torch.ops.workbench.tree_ensemble.default):
            name = getattr(node.target, "__name__", "") if not isinstance(node.target, torch._ops.OpOverload) else ""
            emit = OPERATORS.get(name or str(node.target))
            if emit is not None:
                walk.made[node] = emit(walk, node)
            elif "sym_size" not in str(node.target) and "val" in node.meta and _is_tensor(node.meta["val"]):
                raise NoForm(f"torch's operator {node.target}")
    return _named(program, walk)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor | tuple | list)


def _named(program: Any, walk: Any) -> dict[str, str]:
    answer = next(node for node in program.graph.nodes if node.op == "output").args[0]
    names = program.call_spec.out_spec.context
    return {name: walk.made[node] for name, node in zip(names, answer, strict=True)}


def _constant(program: Any, name: str) -> torch.Tensor | None:
    """A buffer or a constant of the program by its placeholder's name; None for what rows bring."""
    said = program.graph_signature
    for table in (said.inputs_to_buffers, said.inputs_to_parameters, said.inputs_to_lifted_tensor_constants):
        if name in table:
            target = table[name]
            found: torch.Tensor = (
                program.state_dict[target] if target in program.state_dict else program.constants[target]
            )
            return found.detach()
    return None


def _exported(lifted: Lifted) -> Any:
    """The module's graph, each ensemble of trees one node in it."""
    from workbench.migrate.lift.lifted import exported

    return exported(trees_apart(lifted.module.op), lifted.card)


def trees_apart(op: Op) -> Op:
    """The op in torch's own operators, but for its ensembles, which are their programs."""
    parts = [] if isinstance(op, TreeEnsemble) else [trees_apart(part) for part in op.parts]  # type: ignore[arg-type]
    if parts and (isinstance(op, TreeClasses) or getattr(op, "two_forms", False)):
        return parts[0] if len(parts) == 1 else Chain({}, {}, parts)
    twin = copy(op)
    twin._modules = {"parts": nn.ModuleList(parts)}
    return twin
