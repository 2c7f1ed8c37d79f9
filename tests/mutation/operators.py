"""Every way to change one operator or one number of a file.

< becomes <= and >=, == becomes !=, and so for `in` and `is`; + becomes -, * becomes /, & becomes |, `and` becomes `or`;
`not`, a minus, ~ are left out; numbers become one more and one less; True becomes False. Left alone are annotations,
`examples` and `neutral` (the laws are collected at these settings), and `strict=` (it guards against what cannot be).
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Any

SWAPS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}


def negative(node: ast.AST) -> bool:
    """Whether this is a number with a minus, which counts as one number."""
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """The node with one operator or number changed, in each way."""
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for other in SWAPS.get(type(op), ()):
                yield ast.Compare(node.left, [*node.ops[:i], other(), *node.ops[i + 1 :]], node.comparators)
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        for other in SWAPS.get(type(node.op), ()):
            yield type(node)(**{**vars(node), "op": other()})
    elif negative(node):
        value = -ast.literal_eval(ast.unparse(node.operand))  # type: ignore[attr-defined]
        yield from (ast.Constant(value + 1), ast.Constant(value - 1))
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))


Place = tuple[tuple[str, int | None], ...]
"""The way from the module to a node: fields, and places in them."""


def places(node: ast.AST, way: Place = (), inside: str = "") -> Iterator[tuple[Place, ast.AST, str]]:
    """Every node that may be changed, with its way and the name of the class or function that it stands in."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or (isinstance(child, ast.keyword) and child.arg == "strict"):
                continue
            if isinstance(child, ast.Assign) and ast.unparse(child.targets[0]) in ("examples", "neutral"):
                continue
            named = isinstance(child, ast.ClassDef | ast.FunctionDef)
            where = f"{inside}.{child.name}".lstrip(".") if named else inside  # type: ignore[attr-defined]
            yield (*way, (name, i)), child, where
            if not negative(child):
                yield from places(child, (*way, (name, i)), where)


def follow(tree: Any, way: Place) -> list[Any]:
    """The nodes on the way, without the module."""
    nodes = [tree]
    for name, i in way:
        nodes.append(getattr(nodes[-1], name) if i is None else getattr(nodes[-1], name)[i])
    return nodes[1:]


def put(tree: ast.Module, way: Place, new: ast.AST) -> ast.Module:
    """A copy of the tree with another node at that place."""
    tree = copy.deepcopy(tree)
    (name, i), holder = way[-1], [tree, *follow(tree, way)][-2]
    if i is None:
        setattr(holder, name, new)
    else:
        getattr(holder, name)[i] = new
    return ast.fix_missing_locations(tree)


def mutants(source: str) -> dict[str, ast.Module]:
    """Every mutant of a file by its name: where it stands, and what stands there before and after."""
    tree = ast.parse(source)
    found: dict[str, ast.Module] = {}
    for way, node, where in places(tree):
        for new in changed(node):
            mutant = put(tree, way, new)
            line = readable(follow(tree, way))
            before, after = (ast.unparse(follow(t, way)[line]) for t in (tree, mutant))
            name = f"{where}: {before}  =>  {after}".replace("\n", " ")
            while name in found:
                name += " (again)"
            found[name] = mutant
    return found


def readable(nodes: list[Any]) -> int:
    """Which of the nodes on a way to show: the first that fits into a line."""
    shown = [i for i, n in enumerate(nodes) if isinstance(n, ast.expr | ast.stmt | ast.keyword)]
    return next((i for i in shown if len(text := ast.unparse(nodes[i])) <= 90 and "\n" not in text), shown[-1])
