"""Recipes: a sampler as text, TOML or JSON, and back. Recipes are data: read, never evaluated.

Text:   temperature(0.7) | top_p(0.9)        parameters are Python literals and inf; positional ones in their order
TOML:   logitherm = 1, then [[rules]] tables, each with rule = "top_p" and its parameters; or recipe = "text"
JSON:   {"logitherm": 1, "rules": [{"rule": "top_p", "p": 0.9}]}; infinity is the string "inf"
"""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from importlib.metadata import entry_points
from math import inf
from pathlib import Path
from typing import Any

from logitherm.errors import RecipeError
from logitherm.presets import presets
from logitherm.rules import REGISTRY, MinP, Rule, Temperature, TopK, TopP
from logitherm.sampler import MOST_RULES, Sampler
from logitherm.schedule import SCHEDULES, Schedule

FORMAT = 1
LONGEST = 1_000_000
"""Characters of recipe text or of a recipe file; far above any real one."""

PLUGINS = "logitherm.rules"
"""The entry-point group in which other packages list their rules; one is imported only when a recipe names it."""

ORDERS: dict[str, tuple[Callable[[Any], Rule], ...]] = {
    "transformers": (Temperature, TopK, TopP, MinP),
    "vllm": (Temperature, MinP, TopK, TopP),
    "llama.cpp": (TopK, TopP, MinP, Temperature),
}
"""In which order an engine applies the flat parameters that people know: transformers 5.23 (generation/utils.py), vLLM
0.33 (v1/sample/sampler.py), llama.cpp as in llama-cpp-python 0.3.36 (common/common.h)."""


def parse(text: str, plugins: bool = True) -> Sampler:
    """A sampler from recipe text: `parse("temperature(0.7) | top_p(0.9)")`.

    plugins: whether rules of other packages count, which naming one imports; without, as if there were none.
    Raises RecipeError for an unknown rule or parameter (with the nearest name), a wrong value, or no recipe at all.
    """
    if not isinstance(text, str):
        raise RecipeError(f"a recipe must be text; got {text!r}")
    if len(text) > LONGEST:
        raise RecipeError(f"a recipe must have at most {LONGEST:,} characters; got {len(text):,}")
    if not text.strip():
        raise RecipeError("the recipe is empty; the plain model is temperature(1.0)")
    found = list(pieces(text))
    if len(found) > MOST_RULES:
        raise RecipeError(f"a recipe must have 1 to {MOST_RULES} rules; got {len(found)}")
    return Sampler(*(_read_rule(piece, plugins) for piece in found))


def from_params(
    *,
    order: str = "transformers",
    temperature: Any = None,
    top_k: Any = None,
    top_p: Any = None,
    min_p: Any = None,
) -> Sampler:
    """A sampler from the flat parameters that engines take, in the order of a named engine.

    order: "transformers" (temperature, top_k, top_p, min_p), "vllm" (temperature, min_p, top_k, top_p) or "llama.cpp"
           (top_k, top_p, min_p, temperature). The same numbers mean different distributions in each. Only the order is
           taken from the engine; edges (ties, T = 0) are Logitherm's.
    temperature, top_k, top_p, min_p: as in the rules of those names; None leaves the rule out. With none given, the
        plain model.
    Raises RecipeError for an unknown order or a wrong value.
    """
    if order not in ORDERS:
        raise RecipeError(f"order must be one of {', '.join(map(repr, ORDERS))}; got {order!r}")
    given: dict[Callable[[Any], Rule], Any] = {Temperature: temperature, TopK: top_k, TopP: top_p, MinP: min_p}
    rules = [kind(given[kind]) for kind in ORDERS[order] if given[kind] is not None]
    return Sampler(*rules or [Temperature(1.0)])


def to_dict(sampler: Sampler | Rule) -> dict[str, Any]:
    """The recipe as plain data, as JSON and TOML files carry it."""
    rules = [{"rule": rule.name, **rule.parameters()} for rule in Sampler(sampler).rules]
    return {"logitherm": FORMAT, "rules": rules}


def from_dict(data: Any) -> Sampler:
    """A sampler from the plain data of a recipe file."""
    if not isinstance(data, Mapping) or data.get("logitherm") != FORMAT:
        raise RecipeError(f"a recipe file must say logitherm = {FORMAT} at the top")
    if unknown := set(data) - {"logitherm", "recipe", "rules", "about"}:
        raise RecipeError(f"unknown key {min(unknown)!r}{_nearest(min(unknown), ['recipe', 'rules', 'about'])}")
    if ("recipe" in data) == ("rules" in data):
        raise RecipeError("a recipe file must have either recipe or rules")
    if "recipe" in data:
        return parse(str(data["recipe"]))
    rules = data["rules"]
    if not isinstance(rules, list) or not all(isinstance(r, Mapping) and isinstance(r.get("rule"), str) for r in rules):
        raise RecipeError('rules must be a list of tables, each with rule = "name"')
    if len(rules) > MOST_RULES:
        raise RecipeError(f"a recipe must have 1 to {MOST_RULES} rules; got {len(rules)}")
    return Sampler(*(_build(r["rule"], (), [(k, v) for k, v in r.items() if k != "rule"]) for r in rules))


def to_json(sampler: Sampler | Rule) -> str:
    """The recipe as a JSON document."""
    return json.dumps(_finite(to_dict(sampler)), indent=2)


def from_json(text: str) -> Sampler:
    """A sampler from a JSON document."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"this is not JSON: {error}") from None
    return from_dict(data)


def to_toml(sampler: Sampler | Rule) -> str:
    """The recipe as a TOML document."""
    lines = [f"logitherm = {FORMAT}"]
    for rule in to_dict(sampler)["rules"]:
        lines += ["", "[[rules]]"] + [f"{key} = {_toml(value)}" for key, value in rule.items()]
    return "\n".join(lines) + "\n"


def from_toml(text: str) -> Sampler:
    """A sampler from a TOML document."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"this is not TOML: {error}") from None
    return from_dict(data)


def load_recipe(spec: str | Path | Sampler | Rule) -> Sampler:
    """A sampler from what people type: recipe text, the name of a preset, or the path of a .toml or .json file."""
    if isinstance(spec, Sampler | Rule):
        return Sampler(spec)
    name = str(spec).strip()
    if name in presets():
        return parse(presets()[name].recipe)
    if isinstance(spec, Path) or (name.endswith((".toml", ".json")) and ("(" not in name or Path(name).is_file())):
        return _read_file(Path(spec))
    if name.isidentifier() and name not in REGISTRY:
        known = [*presets(), *REGISTRY]
        raise RecipeError(f"unknown preset {name!r}{_nearest(name, known) or '; `logitherm recipes` lists them'}")
    return parse(str(spec))


def _read_file(path: Path) -> Sampler:
    try:
        if path.stat().st_size > LONGEST:
            raise RecipeError(f"{path}: a recipe file must have at most {LONGEST:,} bytes")
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe file {path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        return from_toml(text) if path.suffix == ".toml" else from_json(text)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from None


def pieces(text: str, separator: str = "|") -> Iterator[str]:
    """The text between the separators that stand outside quotes and brackets."""
    depth, quote, start, escaped = 0, "", 0, False
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote and not escaped else quote
            escaped = c == "\\" and not escaped
        elif c in "'\"":
            quote = c
        elif c == "#":
            raise RecipeError("a recipe has no comments; leave out what begins with #")
        elif c == separator and depth == 0:
            yield text[start:i]
            start = i + 1
        else:
            depth += (c in "([{") - (c in ")]}")
    yield text[start:]


def _read_rule(piece: str, plugins: bool) -> Rule:
    if not piece.strip():
        raise RecipeError("there is no rule between two bars, or before or after one")
    shown = piece.strip() if len(piece) < 60 else piece.strip()[:57] + "…"
    try:
        call = ast.parse(piece.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise RecipeError(f"cannot read {shown!r}; a rule is written name(value, name=value)") from None
    if isinstance(call, ast.Name):
        if call.id in presets():
            raise RecipeError(
                f"{call.id!r} is a preset, which stands alone and is read by load_recipe and -r; write its rules"
            )
        _find(call.id, plugins)
        raise RecipeError(f"{call.id} needs parentheses: {call.id}(…)")
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or None in [k.arg for k in call.keywords]:
        raise RecipeError(f"cannot read {shown!r}; a rule is written name(value, name=value)")
    try:
        positional = [_literal(node) for node in call.args]
        named = [(str(k.arg), _literal(k.value)) for k in call.keywords]
    except RecipeError:  # a schedule's own
        raise
    except (ValueError, TypeError, RecursionError, MemoryError):
        why = f"cannot read a value in {shown!r}; values are numbers, inf, strings and lists of them"
        raise RecipeError(why) from None
    return _build(call.func.id, positional, named, plugins)


class _Infinity(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(inf) if node.id == "inf" else node


def _literal(node: ast.expr) -> Any:
    """A Python literal, inf, or a schedule such as linear(1.2, 0.6, steps=50)."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SCHEDULES:
        named = {str(k.arg): _literal(k.value) for k in node.keywords}
        if len(named) < len(node.keywords):
            raise RecipeError(f"{node.func.id} got a parameter twice")
        return SCHEDULES[node.func.id](*map(_literal, node.args), **named)
    return ast.literal_eval(_Infinity().visit(node))


def _build(name: str, positional: Sequence[Any], named: Iterable[tuple[str, Any]], plugins: bool = True) -> Rule:
    kind = _find(name, plugins)
    known = {f.name: f for f in fields(kind)}
    if len(positional) > len(known):
        raise RecipeError(f"{name} takes at most {len(known)} values; got {len(positional)}")
    values = dict(zip(known, positional, strict=False))
    for key, value in named:
        if key not in known:
            raise RecipeError(f"{name} has no parameter {key!r}{_nearest(key, known)}; it takes {', '.join(known)}")
        if key in values:
            raise RecipeError(f"{name} got {key} twice")
        values[key] = value if {"options", "words"} & known[key].metadata.keys() else _number(value)
    needed = [f.name for f in known.values() if f.name not in values and f.default is f.default_factory]
    if needed:
        raise RecipeError(f"{name} needs {needed[0]}: {name}({needed[0]}=…)")
    return kind(**values)


def _find(name: str, plugins: bool) -> type[Rule]:
    """The rule of that name: a built-in one first, then one that an installed package lists."""
    if name in REGISTRY:
        return REGISTRY[name]
    for point in entry_points(group=PLUGINS, name=name) if plugins else ():
        kind = point.load()
        if not (isinstance(kind, type) and issubclass(kind, Rule) and kind.name == name):
            raise RecipeError(f"the plug-in {point.value} must be a Rule with name={name!r}")
        return kind
    raise RecipeError(
        f"unknown rule {name[:60]!r}{_nearest(name, REGISTRY) or '; `logitherm recipes` lists the rules'}"
    )


def _nearest(name: str, known: Any) -> str:
    classes = {kind.__name__.lower(): rule for rule, kind in REGISTRY.items()}
    close = [classes[name.lower()]] if name.lower() in classes else get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _finite(value: Any) -> Any:
    """The value as JSON can carry it: infinities and schedules as strings."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return str(value) if isinstance(value, Schedule) or value in (inf, -inf) else value


def _number(value: Any) -> Any:
    """A number from a file, which spells infinities "inf" and "-inf", and schedules as text; anything else as it is."""
    if isinstance(value, list):
        return [_number(v) for v in value]
    if value in ("inf", "-inf"):
        return float(value)
    if isinstance(value, str) and value.partition("(")[0] in SCHEDULES:
        return _read_value(value)
    return value


def _read_value(text: str) -> Any:
    try:
        return _literal(ast.parse(text, mode="eval").body)
    except RecipeError:
        raise
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise RecipeError(f"cannot read the schedule {text[:60]!r}; it is written linear(1.2, 0.6, steps=50)") from None


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(str(value), ensure_ascii=False) if isinstance(value, str | Schedule) else repr(value)
