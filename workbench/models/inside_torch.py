"""Into a torch file: its tree program read back as trees, and its graph run up to where the trees begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from workbench.models.inputs import conform
from workbench.models.inside import ClosedError, Sight, margin
from workbench.models.torch_file import TorchModel
from workbench.models.tree_kernel.program import CODED, COLUMN, HEADER, NUMBER, check
from workbench.models.trees import MISSING_NAN, MISSING_NONE, MISSING_ZERO, Trees

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.int64]
OPERATORS = ("workbench.tree_ensemble.default", "workbench.tree_classes.default")


def trees_of(model: TorchModel) -> Trees:
    """The ensemble that the file's program runs, from the program's own words. Raises ClosedError."""
    node, values = _tree_node(model._program)
    words = values.get(getattr(node.args[2], "name", ""))
    if words is None:
        raise ClosedError("its tree program is made while it runs")
    return decoded(words.detach().cpu().numpy(), int(node.args[0].meta["val"].shape[1]))  # type: ignore[union-attr]


def look(model: TorchModel, frame: pd.DataFrame) -> Sight:
    """What reaches the trees, by the file's own program, and what the whole program answers."""
    card = model.card
    read = card.edge.encode_plain(frame) or card.edge.encode(conform(frame, card.inputs))
    node, values = _tree_node(model._program)
    run = _up_to(model._program, node)
    numbers, codes = torch.from_numpy(read["numbers"]), torch.from_numpy(read["codes"])
    with torch.inference_mode():
        matrix = run(values, numbers, codes)
    return Sight(matrix.double().numpy(), margin(model.predict(frame)))


def _tree_node(program: torch.export.ExportedProgram) -> tuple[fx.Node, dict[str, torch.Tensor]]:
    """The one call of a tree operator, and what the program holds by the names of its graph."""
    found = [node for node in program.graph.nodes if str(node.target) in OPERATORS]
    if len(found) != 1:
        what = f"{len(found)} tree ensembles" if found else "no compiled tree ensemble"
        raise ClosedError(f"its torch program holds {what}, and exact reasons are those of one")
    if any(node.op == "get_attr" for node in program.graph.nodes):
        raise ClosedError("its torch program holds graphs of its own")
    held = {**program.constants, **program.state_dict}
    specs = program.graph_signature.input_specs
    return found[0], {spec.arg.name: held[str(spec.target)] for spec in specs if str(spec.target) in held}


def _up_to(program: torch.export.ExportedProgram, last: fx.Node) -> Any:
    """The graph as a function that ends where `last` takes its numbers."""
    graph, names = fx.Graph(), []
    copies: dict[fx.Node, fx.Node] = {}
    for node in program.graph.nodes:
        if node is last:
            break
        copies[node] = graph.node_copy(node, copies.__getitem__)
        if node.op == "placeholder":
            names.append(node.name)
    reached = last.args[0]
    assert isinstance(reached, fx.Node)
    graph.output(copies[reached])
    module = fx.GraphModule(nn.Module(), graph)

    def run(values: dict[str, torch.Tensor], *inputs: torch.Tensor) -> Any:
        free = iter(inputs)
        return module(*(values[name] if name in values else next(free) for name in names))

    return run


def decoded(words: Ints, features: int) -> Trees:
    """Trees of a program's words (see `tree_kernel.program`) on so many features.

    Raises Refused for words that were changed.

    Covers and link are not in it: 0, and the identity.
    """
    check(words)
    head = {name: int(words[place]) for name, place in HEADER.items()}
    tests = _Tests(head, words)
    nodes = _part(words, head["at_nodes"], head["nodes"] - 1)  # the last one is the leaf of an empty tree
    limit, test = (
        nodes & ((1 << head["limit_bits"]) - 1),
        (nodes >> head["limit_bits"]) & ((1 << head["test_bits"]) - 1),
    )
    inner, left = test > 0, nodes >> (head["limit_bits"] + head["test_bits"])
    number = np.flatnonzero(inner & (tests.set[test] < 0))
    threshold = np.zeros(len(nodes))
    threshold[number] = tests.edges[tests.first[test[number]] + limit[number] - 1]
    values = _floats(words, head["at_values"], head["leaves"] * head["width"]).reshape(-1, head["width"])
    divide = float(_floats(words, HEADER["divide"], 1)[0])
    roots, output = _roots(words, head)
    return Trees(
        features=tuple(f"number {place}" for place in range(features)),
        roots=roots.astype(np.int32),
        feature=np.where(inner, tests.source[test], -1).astype(np.int32),
        threshold=threshold,
        left=np.where(inner, left, -1).astype(np.int32),
        right=np.where(inner, left + 1, -1).astype(np.int32),
        default_left=tests.default_left[test],
        missing=tests.missing[test],
        category=np.where(inner, tests.set[test], -1).astype(np.int32),
        bits=tests.bits,
        unknown_left=tests.unknown_left[test],
        value=np.where(inner[:, None], 0.0, values[np.where(inner, 0, limit)] / divide),
        cover=np.zeros(len(nodes)),
        tree_output=output.astype(np.int32),
        weight=np.ones(len(roots)),
        base=_floats(words, head["at_base"], head["outputs"]),
        compare="<" if head["right"] else "<=",
        precision="float32" if head["float32"] else "float64",
    )


def _part(words: Ints, place: int, length: int) -> Ints:
    return words[place : place + length]


def _floats(words: Ints, place: int, length: int) -> NDArray[np.float64]:
    return np.array(_part(words, place, length)).view(np.float64)


def _roots(words: Ints, head: dict[str, int]) -> tuple[Ints, Ints]:
    """Roots in the nodes' order, and each tree's output, -1 for all; without empty trees."""
    roots = _part(words, head["at_roots"], head["trees"])
    each = head["trees"] // head["outputs"]
    output = np.arange(head["trees"]) // each if head["width"] == 1 else np.full(head["trees"], -1)
    order = np.argsort(roots, kind="stable")
    order = order[roots[order] < head["nodes"] - 1]
    return roots[order], output[order]


class _Tests:
    """What each test of a program asks, by its number; test 0 asks nothing.

    source: the number it reads; first: of its thresholds among `edges`; set: row of `bits`, -1 for a threshold.
    """

    def __init__(self, head: dict[str, int], words: Ints) -> None:
        count = head["tests"]
        self.source, self.first = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.set, self.missing = np.full(count, -1), np.full(count, MISSING_NAN, np.uint8)
        self.default_left, self.unknown_left = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        self.edges = _floats(words, head["at_edges"], head["edges"])
        self._tables: list[NDArray[np.uint8]] = []
        records = _part(words, head["at_columns"], head["columns"] * len(COLUMN)).reshape(-1, len(COLUMN))
        for said in (dict(zip(COLUMN, record)) for record in records.tolist()):
            if said["kind"] == NUMBER:
                self._numbers(said)
            elif said["kind"] == CODED:
                self._sets(said, _part(words, head["at_sets"] + said["first"], said["sets"] * said["set_words"]))
            else:
                raise ClosedError("its trees read codes of the edge, which are not numbers")
        self.bits = self._bits()

    def _numbers(self, said: dict[str, int]) -> None:
        for side in ("low", "high"):
            if (test := said[side]) >= 0:
                self.source[test], self.first[test] = said["source"], said["first"]
                self.default_left[test] = side == "low"
                never = side == "low" and said["low_absent"] > 0
                self.missing[test] = MISSING_ZERO if said["zero"] else MISSING_NONE if never else MISSING_NAN

    def _sets(self, said: dict[str, int], words: Ints) -> None:
        """A set bit sends its symbol right; after the categories come unknown and missing."""
        right = np.unpackbits(words.view(np.uint8), bitorder="little").reshape(said["sets"], -1).astype(bool)
        tests = slice(said["first_test"], said["first_test"] + said["sets"])
        self.source[tests], self.set[tests] = said["source"], len(self._tables) + np.arange(said["sets"])
        self.unknown_left[tests], self.default_left[tests] = ~right[:, said["count"]], ~right[:, said["count"] + 1]
        # The last of each row is the way of an unknown code: of all that a wider table has room for.
        self._tables += list((~right[:, : said["count"] + 1]).astype(np.uint8))

    def _bits(self) -> NDArray[np.uint32]:
        words = -(-max((len(table) for table in self._tables), default=1) // 32)
        wide = [
            np.pad(table[:-1], (0, 32 * words - len(table) + 1), constant_values=table[-1]) for table in self._tables
        ]
        packed = np.packbits(np.array(wide, dtype=np.uint8).reshape(len(wide), 32 * words), axis=1, bitorder="little")
        return np.ascontiguousarray(packed).view("<u4").astype(np.uint32)
