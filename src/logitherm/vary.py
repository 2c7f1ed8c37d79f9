"""One rule of a recipe at several settings: `varied("temperature=0.1,0.5,1")`."""

from __future__ import annotations

from dataclasses import fields

from logitherm.errors import RecipeError
from logitherm.recipe import parse, pieces
from logitherm.rules import REGISTRY, Rule
from logitherm.rules.base import literal
from logitherm.sampler import Sampler


def varied(text: str, base: Sampler | None = None) -> dict[str, Sampler]:
    """The recipes that differ in one parameter, by that parameter's value as it was written.

    text: "rule=value,value,…" for the rule's first parameter, "rule.parameter=value,…" for another.
    base: a recipe that holds the rule once; the other rules and parameters stay as they are. Without one, each recipe
          is the rule alone.
    Raises RecipeError if the text or a value is wrong, or the base has the rule not at all or more than once.
    """
    if not isinstance(text, str):
        raise RecipeError(f"vary must be text, such as 'temperature=0.5,1'; got {text!r}")
    name, equals, listed = text.partition("=")
    rule, _, parameter = (part.strip() for part in name.partition("."))
    values = [value.strip() for value in pieces(listed, ",")]
    if not equals or not rule or not all(values):
        raise RecipeError(f"vary must be rule=value,value or rule.parameter=value,value; got {text!r}")
    found = {value: _at(base, rule, parameter, value) for value in values}
    if len(set(found.values())) < max(2, len(values)):
        raise RecipeError(f"vary must name two values or more, each once; got {text!r}")
    return found


def _at(base: Sampler | None, rule: str, parameter: str, value: str) -> Sampler:
    if base is None:
        try:
            return Sampler(_read(rule, {parameter: value}))
        except RecipeError as error:
            advice = "; give the recipe that holds the rule too" if " needs " in str(error) else ""
            raise RecipeError(f"{error}{advice}") from None
    place = _place(base, rule)
    old = base.rules[place]
    arguments = {name: literal(v) for name, v in old.parameters().items()}
    changed = _read(rule, arguments | {parameter or fields(old)[0].name: value})
    return Sampler(*base.rules[:place], changed, *base.rules[place + 1 :])


def _read(rule: str, arguments: dict[str, str]) -> Rule:
    """The rule that its name and the texts of its arguments spell; an argument without a name is the first."""
    words = {name: _quoted(rule, name, text) for name, text in arguments.items()}
    written = ", ".join(f"{name}={text}" if name else text for name, text in words.items())
    sampler = parse(f"{rule}({written})")
    if len(sampler.rules) > 1:
        raise RecipeError(f"vary must be of one rule; got {str(sampler)!r}")
    return sampler.rules[0]


def _quoted(rule: str, parameter: str, text: str) -> str:
    """A bare word in quotes, where the parameter takes words: of=raw."""
    kind = REGISTRY.get(rule)
    words = {f.name for f in fields(kind) if "options" in f.metadata} if kind else set()
    return repr(text) if parameter in words and text.isidentifier() else text


def _place(base: Sampler, rule: str) -> int:
    places = [i for i, r in enumerate(base.rules) if r.name == rule]
    if len(places) != 1:
        raise RecipeError(f"vary needs a recipe with one {rule}; {str(base)!r} has {len(places) or 'none'}")
    return places[0]
