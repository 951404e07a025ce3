"""Gives a constant another value for the length of a block: in every module that imported it, and in everything derived from it."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

from benchmarks.constants import Binding, Code, Constant, bindings, evaluated, followers

_CACHED = type(cache(lambda: None))


@dataclass
class _Undo:
    """Attributes as they were before they were set."""

    before: list[tuple[Any, str, object]] = field(default_factory=list)

    def set(self, place: object, name: str, value: object) -> None:
        self.before.append((place, name, getattr(place, name)))
        setattr(place, name, value)

    def all(self) -> None:
        for place, name, value in reversed(self.before):
            setattr(place, name, value)


@contextmanager
def altered(constant: Constant, value: object, known: Code) -> Iterator[None]:
    """Inside the block the constant has another value under all its names; derived constants and default arguments follow."""
    undo = _Undo()
    try:
        _set(constant.home, value, known, undo)
        for follower in followers(constant, known):
            _set(follower.home, evaluated(follower.expression, vars(import_module(follower.home.module))), known, undo)
        for binding in all_bindings(constant, known):
            _set_defaults(binding, known, undo)
        forget(known)
        yield
    finally:
        undo.all()
        forget(known)


def all_bindings(constant: Constant, known: Code) -> list[Binding]:
    """Every name whose value changes with the constant."""
    return [binding for each in (constant, *followers(constant, known)) for binding in bindings(each.home, known)]


def _set(home: Binding, value: object, known: Code, undo: _Undo) -> None:
    import_module(home.module)
    for binding in bindings(home, known):
        module = sys.modules.get(binding.module)
        if module is not None and hasattr(module, binding.name):
            undo.set(module, binding.name, value)


def _set_defaults(binding: Binding, known: Code, undo: _Undo) -> None:
    """Recompute the default arguments that mention the name."""
    module = sys.modules.get(binding.module)
    if module is None:
        return
    for qualified, node, names in known[binding.module].defaults:
        if binding.name in names:
            function = _function(module, qualified)
            positional, by_name = node.args.defaults, zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            undo.set(function, "__defaults__", tuple(evaluated(part, vars(module)) for part in positional) or None)
            values = {argument.arg: evaluated(part, vars(module)) for argument, part in by_name if part is not None}
            undo.set(function, "__kwdefaults__", values or None)


def _function(module: ModuleType, qualified: str) -> FunctionType:
    found: Any = module
    for name in qualified.split("."):
        found = inspect.getattr_static(found, name)
    found = inspect.unwrap(getattr(found, "__func__", found))  # a class method; one behind a decorator
    assert isinstance(found, FunctionType)
    return found


def out_of_reach(constant: Constant, known: Code) -> list[str]:
    """Class bodies and decorators that read the constant when their module was loaded, where a change has no effect."""
    names = all_bindings(constant, known)
    return [f"{b.module}.{place}" for b in names for place, mentioned in known[b.module].computed_once if b.name in mentioned]


def forget(known: Code) -> None:
    """Clear the caches of functions, since their values may depend on the constant."""
    for name in known:
        for value in vars(sys.modules[name]).values() if name in sys.modules else ():
            if isinstance(value, _CACHED):
                value.cache_clear()
