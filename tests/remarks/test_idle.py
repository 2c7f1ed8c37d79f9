"""Rules that cannot act: a table that can be checked by hand, and the claim itself on random chains."""

from dataclasses import fields, replace

import numpy as np
import pytest

import logitherm as lt
from logitherm.errors import LogitsError
from logitherm.remarks.families import BOUNDED, EDITS, off
from logitherm.remarks.idle import idle
from logitherm.rules import Masked, Temperature
from tests.rows import DIGITS, examples, name


def starts(rule):
    """Whether a rule starts as it is: a rule of another package may need a model's vocabulary, or that package."""
    try:
        return lt.Sampler(rule).start([[1, 2, 1], [3]]) is not None
    except (lt.BackendUnavailable, lt.RecipeError):
        return False


RULES = [rule for rule in examples() if starts(rule)]


def dead(recipe):
    """The places of the rules that are said to be unable to act, with those that make it so."""
    return {r.rules[0].index: tuple(c.index for c in r.rules[1:]) for r in idle(lt.parse(recipe).rules)[1]}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        # neutral settings: as numbers, one a row, schedules, lists
        ("top_k(0)", {0: ()}),
        ("temperature(1.0)", {}),  # alone, it is how the plain model is written
        ("temperature(1.0) | top_p(0.9)", {0: ()}),
        ("top_p([1.0, 1.0])", {0: ()}),
        ("top_p([1.0, 0.9])", {}),
        ("temperature(linear(1.0, 1.0, steps=5)) | top_k(5)", {0: ()}),
        ("dry(0.0, base=2.0)", {0: ()}),
        ("ban([])", {0: ()}),
        ("dynamic_temperature(1.0)", {0: ()}),
        ("dynamic_temperature(1.0, max_p=-0.3)", {}),
        ("entropy_rate(2.0, eta=0.0)", {}),  # off, but its bounds could move T: not claimed
        ("bias([[3, 0.0], [4, 0.0]])", {0: ()}),
        ("xtc(0.5, threshold=0.6)", {0: ()}),
        ("xtc(0.5, threshold=0.5)", {}),  # two tokens of exactly a half
        # one token is left, or only ties
        ("temperature(0.0) | top_p(0.9) | temperature(0.5)", {1: (0,), 2: (0,)}),
        ("temperature(1e-6) | repetition(1.2)", {1: (0,)}),
        ("temperature([0.0, 0.5]) | top_p(0.9)", {}),
        ("top_k(5) | target_entropy(0.0) | top_p(0.9)", {0: (1,), 2: (1,)}),
        ("temperature(0.0) | ban([3])", {}),  # which may leave nothing
        ("top_k(1) | typical(0.5) | temperature(0.5)", {1: (0,), 2: (0,)}),
        ("top_k(1) | temperature(0.0)", {0: (1,)}),  # which picks one among ties
        ("top_k(1) | repetition(1.2) | top_p(0.5)", {}),  # which parts ties
        ("top_k(1) | greedy_threshold(0.5)", {}),
        ("top_k(1) | temperature(0.5) | repetition(1.2)", {}),  # the height at which they tie counts for it
        ("temperature(0.5) | top_k(1) | repetition(1.2)", {}),
        # before one that keeps the first
        ("top_p(0.9) | temperature(0.0)", {0: (1,)}),
        ("temperature(0.7) | quadratic(0.3) | min_p(0.1) | top_k(1)", {0: (3,), 1: (3,), 2: (3,)}),
        ("dynatemp(0.5, 1.5) | top_k(1)", {}),  # it may be so cold that it picks one among ties
        ("top_p(0.9) | dynatemp(0.0, 1.5) | top_k(1)", {}),  # so cold that it picks one, more often after a cut
        ("dynatemp(0.5, 1.5) | temperature(0.0)", {0: (1,)}),
        ("top_p(0.9) | repetition(1.2) | temperature(0.0)", {}),
        ("typical(0.5) | temperature(0.0)", {}),  # it may remove the likeliest
        # a cutoff within another of its kind
        ("top_k(20) | top_k(50)", {1: (0,)}),
        ("top_k(50) | top_k(20)", {0: (1,)}),
        ("top_k(20) | top_k(20)", {0: (1,)}),  # one of them, not both
        ("top_k(20) | dynatemp(0.5, 1.5) | top_p(0.9) | top_k(20)", {3: (0,)}),
        ("top_k(50) | top_p(0.9) | top_k(20)", {}),  # top_p sees what the first left
        ("top_k(50) | temperature(0.7) | min_p(0.1) | top_k(20)", {0: (3,)}),
        ("top_k([20, 60]) | top_k(50)", {}),
        ("top_k([0, 20]) | top_k(50)", {}),  # off in the first row
        ("min_p([0.0, 0.1]) | min_p(0.05)", {}),
        ("top_k(20) | repetition(1.2) | top_k(50)", {}),  # which parts ties
        ("top_p(0.5) | top_p(0.9)", {}),  # masses are of what is left: the second cuts again
        ("min_p(0.1) | min_p(0.05)", {1: (0,)}),
        ("min_p(0.05) | min_p(0.1)", {0: (1,)}),
        ("min_p(0.04) | temperature(0.5) | min_p(0.1)", {0: (2,)}),  # .1^.5 = .316 of the unheated row
        ("min_p(0.04) | temperature(0.5) | min_p(0.01)", {0: (2,)}),  # .01^.5 = .1
        ("min_p(0.04) | temperature(0.5) | min_p(0.001)", {2: (0,)}),  # .001^.5 = .0316
        ("min_p(0.04) | temperature(3.0) | min_p(0.1)", {2: (0,)}),  # .1^3 = .001
        ("min_p(0.04) | dynatemp(0.5, 1.5) | min_p(0.01)", {}),
        ("min_p(0.04) | temperature(linear(0.5, 3.0, steps=9)) | min_p(0.01)", {}),
        ("epsilon(0.01) | top_p(0.9) | epsilon(0.01)", {2: (0,)}),
        ("epsilon(0.01) | epsilon(0.02)", {}),
        ("epsilon(0.01) | temperature(0.9) | epsilon(0.001)", {}),
        # a scale that a solver does not see
        ("temperature(0.7) | top_k(5) | target_entropy(1.0)", {0: (2,)}),
        ("temperature(0.7) | top_p(0.5) | target_entropy(1.0)", {}),
        ("temperature(1e9) | target_entropy(1.0)", {}),  # beyond the bracket of the solver
        ("temperature(0.7) | entropy_cap(1.0)", {}),
        # tokens that are gone
        ("ban([1, 2]) | bias([[1, 5.0]])", {1: (0,)}),
        ("ban([1]) | bias([[1, 5.0], [2, 5.0]])", {}),
        ("bias([[1, -inf]]) | ban([1])", {1: (0,)}),
        ("allow([1, 2]) | ban([5])", {1: (0,)}),
        ("allow([1, 2]) | ban([2])", {}),
        ("allow([1, 2]) | allow([2, 1, 3])", {1: (0,)}),
        # neutral rules stand in nobody's way, and chains fold up
        ("top_k(20) | top_p(1.0) | top_k(50)", {1: (), 2: (0,)}),
        ("top_k(60) | top_k(50) | top_k(40)", {0: (1,), 1: (2,)}),
    ],
)
def test_what_cannot_act(recipe, expected):
    assert dead(recipe) == expected


def test_every_rule_acts_at_its_examples_and_not_at_its_neutral_setting():
    for rule in RULES:
        assert idle((rule,))[0] == [0], rule
    for kind in lt.REGISTRY.values():
        if kind.neutral is not None and kind is not Temperature:
            assert idle((kind(**kind.neutral),))[0] == [], kind


def changed(chain, logits, prompts, position):
    """The distributions that a chain gives after some drawn tokens, or None where a row has nothing left."""
    state = chain.start(prompts, seed=list(range(7, 7 + len(prompts))))
    try:
        for token in position:
            state = chain.observe(logits, state, np.full(len(prompts), token)).state
        final = chain.apply(logits, state)
    except LogitsError:
        return None
    w = np.exp(final - final.max(axis=-1, keepdims=True))
    return w / w.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_a_neutral_setting_is_off_whatever_else_is_given(rule):
    """But for the rules that are named as needing more."""
    if rule.neutral is None:
        return
    if any(getattr(rule, f.name) == rule.neutral.get(f.name, ...) for f in fields(rule)):
        pytest.skip("an example with a part of its neutral setting")
    dulled = replace(rule, **rule.neutral)
    if isinstance(dulled, Masked):
        dulled = dulled.bind(DIGITS)
    x = np.random.default_rng(1).normal(scale=3, size=(2, 12)).round(1)
    same = changed(lt.Sampler(dulled), x, [[1, 2, 1], [3]], [1, 2])
    plain = changed(lt.parse("temperature(1.0)"), x, [[1, 2, 1], [3]], [1, 2])
    if off(dulled):
        assert np.array_equal(same, plain)
    else:
        assert isinstance(dulled, BOUNDED)


POOL = """
top_k([0,2,4]) min_p([0.0,0.1,0.3]) temperature([1.0,2.0,1.0])
temperature(0.0) temperature(0.5) temperature(2.0) temperature(1.0) temperature([1.0,0.5,1e-7]) top_k(1) top_k(2)
top_k(3) top_k([1,3,5]) top_k(5) min_p(0.02) min_p(0.1) min_p(0.3) min_p(1.0) min_p([0.3,0.1,0.02]) top_p(0.5)
top_p(0.9) epsilon(0.02) epsilon(0.1) eta(0.1) top_a(0.3) p_less() top_n_sigma(1.0) min_k(2.0) top_h(0.5) tfs(0.5)
typical(0.5) xtc(1.0,threshold=0.1,protect=[]) xtc(1.0,threshold=0.7,protect=[]) quadratic(0.3) greedy_threshold(0.4)
target_entropy(0.0) target_entropy(0.8) entropy_cap(0.5) risk_budget(0.1) dynatemp(0.0,1.5) edt(0.8,1.0)
dynamic_temperature(0.3,max_p=-0.4) mirostat(1.5) adaptive_p(0.4) entropy_rate(1.0,0.2) repetition(1.5) frequency(0.7)
presence(-0.5) dry(0.8,breakers=[]) no_repeat_ngram(2) bias([[1,2.0],[2,-inf]]) bias([[2,3.0]]) ban([1]) ban([2,3])
allow([1,2,3,4]) allow([2,3]) allow([1,2,3,4,5,6]) min_new_tokens(2,eos=[0]) length_decay(1.3,eos=[0])
bad_words([[1,2]]) sequence_bias([[[1,2],1.0]])
""".split()  # noqa: SIM905


def test_leaving_out_what_cannot_act_changes_nothing():
    """10,000 random chains on rows full of ties, after some tokens: the same distribution without these rules."""
    random = np.random.default_rng(5)
    tried = spoiled = 0
    for _ in range(10_000):
        chain = lt.Sampler(*(lt.parse(POOL[i]) for i in random.integers(len(POOL), size=random.integers(2, 5))))
        live, _ = idle(chain.rules)
        if len(live) == len(chain.rules):
            continue
        x = random.integers(-6, 7, size=(3, 9)) / 2
        x[random.random(x.shape) < 0.1] = -np.inf
        x[:, 4] = 1.0
        given = x, [[1, 2, 1], [3], [2, 2, 1]], random.integers(9, size=random.integers(4)).tolist()
        whole = changed(chain, *given)
        if whole is None:
            spoiled += 1
            continue
        rest = lt.Sampler(*(chain.rules[i] for i in live)) if live else lt.parse("temperature(1.0)")
        assert np.allclose(whole, changed(rest, *given), rtol=0, atol=1e-7), (str(chain), str(rest), given)
        tried += 1
    assert tried > 1_500, (tried, spoiled)


def test_rules_on_single_tokens_are_those_that_a_permutation_moves():
    """The table EDITS against what the rules do: all others give permuted tokens permuted logits."""
    order = np.random.default_rng(3).permutation(12)
    moved = set()
    for rule in RULES:
        for seed in range(20):
            x = np.random.default_rng(seed).normal(scale=3, size=(1, 12))
            chain = lt.Sampler(rule)
            state = chain.start([[0, 1, 2, 0, 1, 3, 0, 1]], seed=2)
            for token in (0, 1):
                state = chain.observe(x, state, [token]).state
            given = chain.apply(x, state)[:, order]
            again = next(after for _, _, after, _ in chain.stages(x[:, order], state))
            if not np.allclose(given, again, equal_nan=True):
                moved.add(type(rule))
    protecting = {lt.REGISTRY["xtc"]}  # its protected ids are single tokens, what it does is a cut
    assert [kind for kind in moved - protecting if not issubclass(kind, EDITS)] == []
    assert [kind for kind in EDITS if kind in map(type, RULES) and kind not in moved] == []


def test_the_rules_of_this_package_start():
    """None of them but grammars needs more than logits and tokens, so the laws above are about all of them."""
    assert {rule.name for rule in examples() if not starts(rule)} <= {"grammar"}
