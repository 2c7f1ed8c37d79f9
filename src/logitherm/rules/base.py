"""A rule: one step between the model's logits and the draw, as a frozen value.

`apply` shapes logits and changes nothing else; `advance` learns which token was drawn. A rule owns no arrays and no
generator: it prints, compares, hashes and serialises. To write one:

    @dataclass(frozen=True)
    class Half(Rule, name="half"):
        \"\"\"Divide every logit by two.\"\"\"
        neutral = None
        examples = ({},)
        def apply(self, logits: Array, at: At) -> Array:
            return logits / 2
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Self

from logitherm.arrays import Array, greedy, keep, namespace
from logitherm.errors import RecipeError
from logitherm.schedule import Schedule
from logitherm.state import At, Step
from logitherm.vocabulary import Vocabulary

REGISTRY: dict[str, type[Rule]] = {}
"""Every rule by name; a subclass with a name enrols itself, here and in the tests of the laws."""

Numbers = float | Sequence[float] | Schedule
"""A parameter: one number, a list with one number a row (kept as a tuple), or a schedule over the position."""

SLACK = 1e-6
"""top_p and min_p lower their p by this fraction: what should be exactly p and was rounded up or down still counts."""

GREEDY = 1e-6
"""A temperature at or below this keeps one token."""


def parameter(
    allowed: str, ok: Callable[[Any], bool], *, unit: str, default: Any = MISSING, whole: bool = False
) -> Any:
    """A numeric parameter of a rule, checked when the rule is built; scalar, or a tuple with one value a row.

    allowed: what is allowed, in words that follow "must be".
    ok:      whether one number is allowed.
    unit:    its unit, for people.
    whole:   only whole numbers.
    """
    return field(default=default, metadata={"allowed": allowed, "ok": ok, "unit": unit, "whole": whole})


def choice(*options: str, default: str) -> Any:
    """A parameter of a rule that is one of a few words."""
    return field(default=default, metadata={"options": options})


def words(allowed: str, *, default: Any = MISSING) -> Any:
    """A parameter of a rule that is text."""
    return field(default=default, metadata={"words": is_text, "allowed": allowed, "unit": "text"})


def listed(entry: Callable[[str, Any], Any], allowed: str, *, unit: str, default: Any = MISSING) -> Any:
    """A parameter of a rule that is one list for all rows, such as token ids.

    entry: reads one entry; it is called with the parameter's name and the entry, and raises RecipeError.
    """
    return field(default=default, metadata={"entry": entry, "allowed": f"a list of {allowed}", "unit": unit})


def is_text(value: Any) -> bool:
    """Whether a value is text that can be written down, which half of a surrogate pair cannot."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def whole(name: str, value: Any) -> int:
    """A whole number ≥ 0, such as a token id."""
    return int(_number(name, value, {"allowed": "a list of whole numbers >= 0", "ok": lambda v: v >= 0, "whole": True}))


def among(allowed: str, ok: Callable[[float], bool]) -> Callable[[str, Any], float]:
    """How `listed` reads numbers that are allowed."""
    return lambda name, value: _number(name, value, {"allowed": f"a list of {allowed}", "ok": ok, "whole": False})


def checked(name: str, value: Any, meta: Mapping[str, Any]) -> Any:
    """The value in its canonical type (number, word, schedule, or tuple); RecipeError if it is not allowed."""
    if not meta:
        raise TypeError(
            f"{name} must be made by parameter(…), choice(…), words(…) or listed(…) of logitherm.rules.base"
        )
    several = isinstance(value, list | tuple) or getattr(value, "ndim", None) == 1
    if "options" in meta:
        if value not in meta["options"]:
            raise RecipeError(f"{name} must be one of {', '.join(map(repr, meta['options']))}; got {value!r}")
        return value
    if "words" in meta:
        if not meta["words"](value):
            raise RecipeError(f"{name} must be {meta['allowed']}; got {value!r}")
        return value
    if "entry" in meta:
        if not several:
            raise RecipeError(f"{name} must be {meta['allowed']}; got {value!r}")
        return tuple(meta["entry"](name, entry) for entry in value)
    if isinstance(value, Schedule):
        if meta["whole"]:
            raise RecipeError(f"{name} must be {meta['allowed']}, and whole numbers have no schedule; got {value}")
        for bound in (value.start, value.end):
            _number(name, bound, meta)
        return value
    if several:
        if not len(value):
            raise RecipeError(f"{name} must have one value a row; got an empty {type(value).__name__}")
        return tuple(_number(name, v, meta) for v in value)
    return _number(name, value, meta)


def _number(name: str, value: Any, meta: Mapping[str, Any]) -> float:
    """One number as a float, or as an int if it must be whole."""
    try:
        if isinstance(value, bool | str | bytes) or getattr(value, "ndim", None):
            raise TypeError
        number = int(value) if meta["whole"] else float(value)
        if number != value or not meta["ok"](number):  # a fraction where whole is wanted, or NaN, which is not itself
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise RecipeError(f"{name} must be {meta['allowed']}; got {value!r}") from None
    return number + 0.0 if isinstance(number, float) else number  # −0.0 is written as 0.0


def literal(value: Any) -> str:
    """A parameter's value as recipe text."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, Schedule):
        return str(value)
    return repr(value)  # floats print inf as inf, which recipes read


@dataclass(frozen=True)
class Rule(ABC):
    """One step of a chain. Subclass it with `name=`, as a frozen dataclass.

    name:     what recipes call it.
    neutral:  the parameters at which it is bitwise the identity, or None if there are none.
    examples: parameters at which it is not neutral; the tests of the laws run on them.
    Every parameter is a field made by `parameter`, `choice`, `words` or `listed`; in recipe text the first is
    positional.
    """

    name: ClassVar[str] = ""
    neutral: ClassVar[Mapping[str, Any] | None] = None
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    chain: ClassVar[Callable[..., Any]]  # Sampler, which stands below this file in the tree and sets it

    def __init_subclass__(cls, name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not name:
            return  # a family of rules, such as Cutoff
        taken = REGISTRY.get(name, cls)
        if (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):  # but a module may be reloaded
            raise RecipeError(
                f"the rule name {name!r} is taken by {taken.__module__}.{taken.__qualname__}; choose another"
            )
        cls.name = name
        REGISTRY[name] = cls

    def __post_init__(self) -> None:
        for f in fields(self):
            if getattr(self, f.name) is None and f.default is None:
                continue  # not given
            value = checked(f"{type(self).__name__}.{f.name}", getattr(self, f.name), f.metadata)
            object.__setattr__(self, f.name, value)

    @abstractmethod
    def apply(self, logits: Array, at: At) -> Array:
        """New logits (rows, vocabulary) float64, -inf where removed; the input is left as it is."""

    def init(self, rows: int) -> Any:
        """What the rule remembers at the start: None, or an array with one entry a row."""
        return None

    def advance(self, memory: Any, step: Step) -> Any:
        """What the rule remembers after this step, whose state already holds the tokens."""
        return memory

    def bind(self, vocabulary: Vocabulary) -> Self:
        """The rule with what it needs of a model's vocabulary filled in; most rules need nothing."""
        return self

    def per_row(self) -> dict[str, int]:
        """For how many rows each parameter has values, where it has one a row."""
        numbers = [f.name for f in fields(self) if "ok" in f.metadata]
        return {name: len(getattr(self, name)) for name in numbers if isinstance(getattr(self, name), tuple)}

    def parameters(self) -> dict[str, Any]:
        """The parameters that differ from their defaults, by name, the first one always."""
        return {f.name: getattr(self, f.name) for f in fields(self) if self._shown(f)}

    def _shown(self, f: Field[Any]) -> bool:
        return f is fields(self)[0] or getattr(self, f.name) != f.default

    def __or__(self, other: Any) -> Any:
        """This rule, then another rule or chain: a Sampler."""
        return self.chain(self, other)

    def __str__(self) -> str:
        first, *rest = self.parameters().items() or [("", "")]
        shown = [literal(first[1])] if first[0] else []
        return f"{self.name}({', '.join(shown + [f'{k}={literal(v)}' for k, v in rest])})"


class Cutoff(Rule):
    """The family of rules that keep an upper set: the tokens whose logit is at or above a cutoff. Ties stay.

    steers: the parameter that `critical` speaks of, and how it compares where a token stays: ("p", ">") says that a
            token stays while p > its critical value. None where there is no parameter to speak of: `critical` then
            says how far above the floor the token is, which stays while that is at least 1.
    """

    steers: ClassVar[tuple[str, str] | None]

    @abstractmethod
    def cutoff(self, logits: Array, at: At) -> Array:
        """The lowest logit that stays, (rows, 1)."""

    @abstractmethod
    def critical(self, logits: Array, token: int) -> Array:
        """The value of the steering parameter at which a token enters or leaves the kept set, (rows, 1).

        It is exact for the logits that the rule receives, other parameters being as they are; the token is among them.
        """

    def apply(self, logits: Array, at: At) -> Array:
        """The logits at or above the cutoff, untouched; -inf elsewhere."""
        return keep(logits, logits >= self.cutoff(logits, at))


class Tempering(Rule):
    """The family of rules that divide a row's logits by one temperature."""

    @abstractmethod
    def temperature(self, logits: Array, at: At) -> Any:
        """The temperature of each row, (rows, 1) or one number."""

    def apply(self, logits: Array, at: At) -> Array:
        """Logits over temperature; at 1e-6 or below, one token: the lowest id among the maxima."""
        xp = namespace(logits)
        t = self.temperature(logits, at)
        cold = t <= GREEDY
        if cold is False:
            return logits / t
        if cold is True:
            return greedy(logits)
        return xp.where(cold, greedy(logits), logits / xp.where(cold, xp.ones_like(t), t))
