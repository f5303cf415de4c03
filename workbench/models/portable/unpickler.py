"""The unpickler that holds every global against a list when it is resolved: the second wall behind `safety.inspect`.

joblib's arrays of objects are pickles inside the pickle, which joblib itself would load without any list: they are
read by the same unpickler. Three names are on the list and held to what they may do: functools.partial, dill's
`_load_type` and numpy's `_ufunc_reconstruct`. Names of some modules are read as `stand_ins`.
"""

import functools
import pickle
from typing import IO, Any

import numpy as np

from .stand_ins import MODULES, Called, stand_in

WRAPPERS = (
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ("sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper"),
)
TYPES = {one.__name__: one for one in (bool, bytes, complex, dict, float, int, list, object, set, str, tuple)}
"""What dill may name: types that run nothing."""


class Refused(Exception):  # noqa: N818
    """The file asks for what it must not."""


def _loaded(load: Any) -> Any:
    """What a file holds. Raises Refused where it calls a stand-in."""
    try:
        return load()
    except Called as error:
        raise Refused(str(error)) from error


class _Array:
    """joblib's announcement of an array whose bytes follow in the file."""

    shape: "tuple[int, ...]" = ()
    order = "C"
    dtype: Any = None
    numpy_array_alignment_bytes: "int | None" = None

    def read(self, source: "Unpickler") -> Any:
        dtype = np.dtype(self.dtype)
        if dtype.hasobject:
            if dtype.names is not None:
                raise Refused("the pickle holds records with objects in them, which no model needs")
            return np.asarray(Unpickler(source.file, source.allowed).load())
        if self.numpy_array_alignment_bytes is not None:
            source.file.read(source.file.read(1)[0])
        count = int(np.prod(self.shape, dtype=np.int64))
        data = bytearray(count * dtype.itemsize)
        view, done = memoryview(data), 0
        while done < len(data):
            chunk = source.file.read(min(1 << 20, len(data) - done))
            if not chunk:
                raise EOFError("the pickle ends in the middle of an array: the file was cut short")
            view[done : done + len(chunk)] = chunk
            done += len(chunk)
        array = np.frombuffer(data, dtype=dtype, count=count)
        return array.reshape(tuple(self.shape)[::-1]).T if self.order == "F" else array.reshape(self.shape)


class _CheckOnly(functools.partial):  # type: ignore[type-arg]
    """functools.partial, held to the one function scikit-learn itself stores that way."""

    def __new__(cls, function: Any, *args: Any, **kwargs: Any) -> Any:
        _hold(function)
        return super().__new__(cls, function, *args, **kwargs)

    def __setstate__(self, state: Any) -> None:
        _hold(state[0])
        super().__setstate__(state)  # type: ignore[misc]


def _hold(function: Any) -> None:
    from sklearn.utils.validation import check_array

    if function is not check_array:
        raise Refused(f"the pickle stores functools.partial of {function!r}: only check_array of scikit-learn may be")


class _Held:
    """find_class by a list of (module, name); None for the list loads anything, on a person's word."""

    allowed: "frozenset[tuple[str, str]] | None" = frozenset()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in WRAPPERS:
            return _Array
        if self.allowed is None:
            return super().find_class(module, name)  # type: ignore[misc]
        if (module, name) not in self.allowed:
            raise Refused(f"the pickle asks for {module}.{name}, which is not on the list")
        if module in MODULES:
            return stand_in(module, name)
        if name == "_load_type":
            return plain_type
        if name == "_ufunc_reconstruct":
            return self.ufunc
        if (module, name) == ("functools", "partial"):
            return _CheckOnly
        return super().find_class(module, name)  # type: ignore[misc]

    def ufunc(self, module: str, name: str) -> Any:
        if module.split(".")[0] != "numpy" or ("numpy", name) not in (self.allowed or ()):
            raise Refused(f"the pickle asks for {module}.{name}, which is not on the list")
        return getattr(np, name)


def plain_type(name: str) -> Any:
    """What dill's `_load_type` may give."""
    if name not in TYPES:
        raise Refused(f"the pickle asks dill for the type {name}, which is not on the list")
    return TYPES[name]


class Plain(_Held, pickle.Unpickler):
    """For a pickle without joblib's arrays: quick."""

    def __init__(self, file: IO[bytes], allowed: "frozenset[tuple[str, str]] | None") -> None:
        super().__init__(file)
        self.allowed = allowed

    def load(self) -> Any:
        return _loaded(super().load)


_Python: Any = pickle._Unpickler


class Unpickler(_Held, _Python):  # type: ignore[misc]
    """The unpickler written in Python, whose steps can be followed to where joblib puts its arrays."""

    dispatch = _Python.dispatch.copy()

    def __init__(self, file: IO[bytes], allowed: "frozenset[tuple[str, str]] | None") -> None:
        _Python.__init__(self, file)
        self.file, self.allowed = file, allowed

    def load(self) -> Any:
        return _loaded(super().load)

    def load_build(self) -> None:
        _Python.load_build(self)
        if isinstance(self.stack[-1], _Array):
            self.stack[-1] = self.stack[-1].read(self)

    dispatch[pickle.BUILD[0]] = load_build
