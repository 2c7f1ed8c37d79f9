"""Give a module that is imported already the code of a changed source, so that a mutant costs a fork and no import."""

from __future__ import annotations

import ast
import sys
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any

from logitherm import REGISTRY


class Broken(Exception):
    """The changed source cannot even be imported."""


def graft(module: ModuleType, tree: ast.Module) -> None:
    """Functions and methods get the new code and defaults; parameters, class attributes and constants the new values.

    A constant changes in every module that holds it under its name. Whoever imported a function or a class still has
    it, and it is the mutant now.
    """
    enrolled = dict(REGISTRY)
    new = ModuleType(module.__name__)
    new.__file__ = module.__file__
    try:
        exec(compile(tree, str(module.__file__), "exec"), vars(new))
    except Exception as error:
        raise Broken from error
    finally:
        REGISTRY.clear()
        REGISTRY.update(enrolled)
    for name, value in vars(new).items():
        if getattr(value, "__module__", module.__name__) == module.__name__ and not name.startswith("__"):
            moved(name, getattr(module, name), value)


def moved(name: str, old: Any, new: Any) -> None:
    """One name of the module."""
    if isinstance(new, type):
        for key, value in vars(new).items():
            member(old, key, vars(old).get(key), value)
    elif isinstance(new, FunctionType) or hasattr(new, "cache_clear"):
        function(old, new)
    elif old is not REGISTRY and unlike(old, new):
        for other in [m for n, m in sys.modules.items() if n.partition(".")[0] in ("logitherm", "tests")]:
            if name in vars(other) and vars(other)[name] is old:
                setattr(other, name, new)


def member(cls: type, key: str, old: Any, new: Any) -> None:
    """One attribute of a class: a method, the parameters of a rule, or a value."""
    if key == "__dataclass_fields__":
        for name, field in new.items():
            old[name].default, old[name].metadata = field.default, field.metadata
    elif isinstance(new, FunctionType | classmethod | staticmethod | property | cached_property):
        function(old, new)
    elif not key.startswith("__") and not key.startswith("_abc_") and unlike(old, new):
        type.__setattr__(cls, key, new)


def function(old: Any, new: Any) -> None:
    """The code and the defaults, under whatever is wrapped around the function."""
    if hasattr(old, "cache_clear"):
        old.cache_clear()
    for inner in ("__wrapped__", "__func__", "fget", "func"):
        if not isinstance(old, FunctionType) and hasattr(old, inner):
            return function(getattr(old, inner), getattr(new, inner))
    old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


def unlike(old: Any, new: Any) -> bool:
    """Whether a value changed; what holds functions always has, for they are others now."""
    return type(old) is not type(new) or bool(old != new)
