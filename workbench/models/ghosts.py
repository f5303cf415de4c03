"""Estimators of another environment as ghosts: objects with their names, attributes and arrays, and none of their code.

`portable.state` read them there; here `pieces.sklearn_piece` reads a ghost as if the estimator itself were present.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from workbench.models.protocol import Refused
from workbench.models.wire import Arrays

Node = Any


class Ghost:
    """Has the attributes of what it stands for; `extra`: what only its methods said."""

    __slots__ = ("__dict__", "extra", "given")
    extra: dict[str, Any]
    given: tuple[str, ...]

    def __getattr__(self, name: str) -> Any:
        extra = object.__getattribute__(self, "extra")
        if name in extra:
            return extra[name]
        raise AttributeError(f"{type(self).__name__} has no {name} in its own environment")


class Raised:
    """Nodes back into ghosts, dictionaries and arrays.

    renew: what makes an older version's attributes those of today, from (name, attributes, version): the name of the
    ghost, or another ghost in its place.
    """

    def __init__(self, arrays: Arrays, renew: Callable[[str, dict[str, Any], str], Any]) -> None:
        self.arrays, self.renew = arrays, renew

    def value(self, node: Node) -> Any:
        """What a node stands for. Raises Refused where it is none of ours."""
        if not isinstance(node, dict):
            return node
        make = getattr(self, f"_{node.get('t')}", None)
        if make is None:
            raise Refused("the host told of the model what is no description")
        return make(node)

    def _array(self, node: Node) -> Any:
        return self.arrays[node["name"]]

    def _objects(self, node: Node) -> Any:
        items = np.empty(len(node["v"]), dtype=object)
        for place, item in enumerate(node["v"]):
            items[place] = self.value(item)
        return items.reshape(node["shape"])

    def _list(self, node: Node) -> Any:
        return [self.value(item) for item in node["v"]]

    def _tuple(self, node: Node) -> Any:
        return tuple(self._list(node))

    def _dict(self, node: Node) -> Any:
        pairs = [(self.value(key), self.value(item)) for key, item in node["v"]]
        return {key if isinstance(key, str | int | float | bool | tuple) else str(key): item for key, item in pairs}

    def _slice(self, node: Node) -> Any:
        return slice(*self._list(node))

    def _sparse(self, node: Node) -> Any:
        from scipy.sparse import csr_matrix

        return csr_matrix(tuple(self._list(node)), shape=tuple(node["shape"]))

    def _dtype(self, node: Node) -> Any:
        try:
            return np.dtype(node["name"])
        except TypeError:
            return str(node["name"])

    def _class(self, node: Node) -> Any:
        return _class(node["name"], (), "", ())

    def _function(self, node: Node) -> Any:
        module, _, name = node["name"].rpartition(".")
        ufunc = getattr(np, name, None) if module == "numpy" else None
        return ufunc if isinstance(ufunc, np.ufunc) else _function(module, name)

    def _partial(self, node: Node) -> Any:
        return functools.partial(self.value(node["func"]))

    def _opaque(self, node: Node) -> Any:
        return _ghost(_class(node["name"], (), "", ()), {}, {}, ())

    def _object(self, node: Node) -> Any:
        attributes = {name: self.value(item) for name, item in node["vars"]}
        extra = {name: self.value(item) for name, item in node["extra"].items()}
        name = self.renew(node["name"], attributes, node["version"])
        if isinstance(name, Ghost):
            return name
        cls = _class(name, tuple(node["bases"]), node["version"], tuple(node["has"]))
        given = tuple(one for one in node["given"] if one in attributes)
        return _ghost(cls, attributes, _bound(extra, attributes), given)


def _ghost(cls: type[Ghost], attributes: dict[str, Any], extra: Mapping[str, Any], given: tuple[str, ...]) -> Ghost:
    ghost = cls()
    ghost.extra, ghost.given = dict(extra), given
    ghost.__dict__.update(attributes)
    return ghost


@functools.cache
def _class(name: str, bases: tuple[str, ...], version: str, has: tuple[str, ...]) -> type[Ghost]:
    """A class of the name, with the methods it had by name only, and bases that are only names."""
    module, _, qualified = name.rpartition(".")
    body: dict[str, Any] = {"__module__": module, "__qualname__": qualified, "library_version": version}
    body |= dict.fromkeys(has, _not_here)
    if has:
        body["get_params"] = lambda self, deep=False: {one: self.__dict__[one] for one in self.given}
    named = tuple(_base(base) for base in dict.fromkeys(bases) if base not in (qualified, "object", "ABC", "Generic"))
    return type(qualified, named or (Ghost,), body)


@functools.cache
def _base(name: str) -> type[Ghost]:
    return type(name, (Ghost,), {})


def _not_here(*_: Any, **__: Any) -> Any:
    raise Refused("a part of a model in its own environment is only described here: ask the whole model")


def _function(module: str, name: str) -> Callable[..., Any]:
    def absent(*_: Any, **__: Any) -> Any:
        return _not_here()

    absent.__module__, absent.__qualname__ = module, name
    return absent


class _Booster:
    """The bytes of a booster, behind the methods our readers of them ask."""

    def __init__(self, data: bytes, best: int | None) -> None:
        self.data, self.best = data, best

    def save_raw(self, _: str = "ubj") -> bytes:
        return self.data

    def num_boosted_rounds(self) -> int | None:
        return None

    def __getitem__(self, rounds: slice) -> _Booster:
        return self

    def model_to_string(self) -> str:
        return self.data.decode()


def _bound(extra: dict[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What methods said, as the methods `pieces` and `estimator_trees` call."""
    bound = dict(extra)
    if "prior" in extra:
        bound["_raw_predict_init"] = lambda X: np.asarray(extra["prior"])
    if "support" in extra:
        bound["get_support"] = lambda: extra["support"]
    if "booster" in extra:
        booster = _Booster(bytes(extra["booster"]), extra.get("best"))
        bound |= {"get_booster": lambda: booster} if "best" in extra else {"booster_": booster}
    return bound


def walk(ghost: Any) -> list[Ghost]:
    """The ghost and all in it, each once."""
    found: dict[int, Ghost] = {}
    todo = [ghost]
    while todo:
        value = todo.pop()
        if isinstance(value, Ghost):
            if id(value) not in found:
                found[id(value)] = value
                todo += list(vars(value).values())
        elif isinstance(value, Mapping):
            todo += list(itertools.chain(value.keys(), value.values()))
        elif isinstance(value, list | tuple):
            todo += list(value)
        elif isinstance(value, np.ndarray) and value.dtype == object:
            todo += value.ravel().tolist()
    return list(found.values())
