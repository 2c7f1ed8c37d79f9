"""One table for the whole registry: which changes of the logits a rule does not notice (docs/theory.md).

Everything that is not marked × must hold on every row and at every example; each × is shown once, by a row on which it
does not hold. Rows have no ties: which of two equal tokens comes first is a matter of ids.
"""

import numpy as np
import pytest

from logitherm import LogitsError, Sampler, Temperature
from tests.rows import examples, probabilities
from tests.theory.invariances import COLUMNS, line_of, lists, renamed, table

SIZE, PADDING, SEEDS = 24, 9, range(30)
SHIFTS, HEATS = (3.7, -11.0), (0.6, 1.5)


def distribution(sampler, logits, new=None):
    """p after the chain, for a row that read 0 1 0 and drew 1 and 0, by whatever names; None if nothing is left."""
    new = np.arange(SIZE) if new is None else new
    state = sampler.start([[new[t] for t in (0, 1, 0)]], seed=5)
    flat = np.where(np.isfinite(logits), 0.0, -np.inf)
    for token in (1, 0):
        state = sampler.observe(flat, state, [new[token]]).state
    try:
        return probabilities(sampler.apply(logits, state))[0]
    except LogitsError:
        return None


def same(p, q):
    if p is None or q is None:
        return p is q
    return np.abs(p - q).max() < 1e-9


def hold(rule, seed):
    """For each column, the marks that hold of this rule on this row; None if it removes all of it."""
    alone, x, new = Sampler(rule), row(seed), names(seed)
    p = distribution(alone, x)
    if p is None:
        return None
    after = [distribution(Sampler(rule, Temperature(t)), x) for t in HEATS]
    scaled = [distribution(alone, x / t) for t in HEATS]
    before = [distribution(Sampler(Temperature(t), rule), x) for t in HEATS]
    twice = distribution(Sampler(rule, rule), x)
    padded = np.concatenate([x, np.full((1, PADDING), -np.inf)], axis=1)
    left = p > 0
    yes = {
        "shift": all(same(distribution(alone, x + c), p) for c in SHIFTS),
        "twice": same(twice, p),
        "order": (np.diff(p[left][np.argsort(x[0][left])]) >= 0).all(),
        "likeliest": left[x.argmax()],
        "ids": same(distribution(alone, x[:, np.argsort(new)], new), p[np.argsort(new)]),
        "padding": same(distribution(alone, padded)[:SIZE], p),
    }
    marks = {column: {""} if held else set() for column, held in yes.items()}
    for column, changed in (("scale", scaled), ("temperature before", before)):
        along = all(same(q, wanted) for q, wanted in zip(changed, after, strict=True))
        marks[column] = ({"c"} if along else set()) | ({"="} if all(same(q, p) for q in changed) else set())
    return marks


def row(seed):
    """Flat, usual or sharp; in every other row a token that rules name is the likeliest. The first has an even tail."""
    if seed == 0:
        return np.log([[0.25, 0.08, *np.linspace(0.029, 0.032, SIZE - 2)]])
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=(0.5, 2.0, 4.0)[seed % 3], size=(1, SIZE))
    if seed % 2:
        x[0, seed // 2 % 3] = x.max() + 0.5
    return x


def names(seed):
    """New names for the tokens: token i is called names(seed)[i]."""
    return np.random.default_rng([seed, 1]).permutation(SIZE)


LINES = {name: [rule for rule in examples() if line_of(rule) == name] for name in table()}


def test_every_example_of_the_registry_stands_in_the_table():
    assert sorted(map(str, examples())) == sorted(str(rule) for rules in LINES.values() for rule in rules)
    assert all(LINES.values())


@pytest.mark.parametrize("name", table())
def test_each_rule_changes_with_what_the_table_says_and_with_nothing_else(name):
    shown = set()
    for rule in LINES[name]:
        for seed in SEEDS:
            found = hold(rule, seed)
            if found is None:
                continue  # every token that it allows was removed
            for column, mark in table()[name].items():
                if mark != "×":
                    assert mark in found[column], (rule, column, seed)
                elif not found[column]:
                    shown.add(column)
    assert shown == {column for column, mark in table()[name].items() if mark == "×"}


BY_ID = [rule for name, rules in LINES.items() for rule in rules if lists(rule) or not table()[name]["ids"]]
"""All rules but those that know tokens by what they say, in a vocabulary's words."""


@pytest.mark.parametrize("rule", BY_ID, ids=str)
def test_new_names_for_the_tokens_change_only_names(rule):
    """The same permutation for logits, history and the ids in the rule's parameters."""
    for seed in SEEDS[:10]:
        x, new = row(seed), names(seed)
        p, q = distribution(Sampler(rule), x), distribution(Sampler(renamed(rule, new)), x[:, np.argsort(new)], new)
        assert same(q, None if p is None else p[np.argsort(new)])


def test_the_marks_are_known():
    assert all(mark in COLUMNS[column] for marks in table().values() for column, mark in marks.items())
