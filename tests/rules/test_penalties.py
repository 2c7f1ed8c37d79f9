"""Penalties with a window, a scope, decay and slope: by hand, and against the engines' own loops written out slowly."""

import numpy as np
import pytest
import torch

from logitherm import RecipeError, Sampler, parse
from logitherm.rules import Frequency, Presence, Repetition
from logitherm.rules.penalties import faded, sloped
from tests.rules.test_history import after

FLAT = [4.0, 4.0, 4.0, -4.0]


def test_a_window_counts_the_last_tokens_alone():
    assert after(Repetition(2.0, window=2), FLAT, prompt=[0, 1, 3]) == [4.0, 2.0, 4.0, -8.0]
    assert after(Repetition(2.0, window=0), FLAT, prompt=[0, 1, 3]) == FLAT
    assert after(Repetition(2.0, window=9), FLAT, prompt=[0]) == [2.0, 4.0, 4.0, -4.0]
    assert after(Frequency(0.5, window=3), FLAT, prompt=[2], drawn=[1, 0, 0, 1]) == [3.0, 3.5, 4.0, -4.0]
    assert after(Presence(0.5, window=3), FLAT, prompt=[2], drawn=[1, 0, 0, 1]) == [3.5, 3.5, 4.0, -4.0]


def test_a_scope_is_the_prompt_the_output_or_both():
    said = {"prompt": [0, 0, 1], "drawn": [1, 2]}
    assert after(Repetition(2.0, scope="all"), FLAT, **said) == [2.0, 2.0, 2.0, -4.0]
    assert after(Repetition(2.0, scope="prompt"), FLAT, **said) == [2.0, 2.0, 4.0, -4.0]
    assert after(Repetition(2.0, scope="output"), FLAT, **said) == [4.0, 2.0, 2.0, -4.0]
    assert after(Frequency(0.5, scope="all"), FLAT, **said) == [3.0, 3.0, 3.5, -4.0]
    assert after(Frequency(0.5, scope="prompt", window=2), FLAT, **said) == [3.5, 3.5, 4.0, -4.0]  # of the prompt
    assert after(Presence(0.5, scope="prompt"), FLAT, **said) == [3.5, 3.5, 4.0, -4.0]


def test_what_is_given_is_what_was():
    assert str(Repetition(1.3)) == "repetition(1.3)"
    assert (
        str(Repetition(1.3, scope="output", window=64, far=0.7))
        == "repetition(1.3, scope='output', window=64, far=0.7)"
    )
    assert str(Frequency(0.3, scope="all", window=64)) == "frequency(0.3, scope='all', window=64)"
    assert Repetition(1.3).plain
    assert not Repetition(1.3, far=0.5).plain
    assert parse("presence(0.3, window=4, decay=2)").rules == (Presence(0.3, window=4, decay=2),)


def test_decay_by_hand():
    """A window of 1 and a decay of 2: the ages 0, 1, 2, 3 weigh 1, 1, 1/2, 0."""
    assert faded(np.arange(5), 1, 2).tolist() == [1, 1, 0.5, 0, 0]
    assert faded(np.arange(3), 2, 0).tolist() == [1, 1, 0]
    row = after(Repetition(2.0, window=1, decay=2), FLAT, prompt=[3, 0, 1, 2])
    assert row == [pytest.approx(4 / 1.5), 2.0, 2.0, -4.0]
    assert after(Frequency(1.0, window=1, decay=2), FLAT, prompt=[], drawn=[0, 0, 0, 0]) == [1.5, 4.0, 4.0, -4.0]
    assert after(Presence(1.0, window=0, decay=2), FLAT, prompt=[], drawn=[0, 1, 2]) == [4.0, 3.5, 3.0, -4.0]


def test_in_full_is_the_penalty_itself():
    """Not 1 + (r − 1), which may end in another digit, as it does for .1."""
    for setting in ({"window": 9}, {"window": 0, "decay": 9}, {"scope": "prompt"}):
        assert after(Repetition(0.1, **setting), [3.0, -3.0], prompt=[0, 1])[1] == (-3.0 * 0.1)
        assert after(Repetition(0.1, **setting), [3.0, -3.0], prompt=[1, 0])[0] == 3.0 / 0.1


def test_slope_and_far_by_hand():
    assert sloped(np.arange(6), 5, 1.0).tolist() == [1, 0.75, 0.5, 0.25, 0, 0]
    assert sloped(np.arange(3), 3, 4.0).tolist() == [1, 0.5, 0]
    assert sloped(np.arange(2), 1, 4.0).tolist() == [1, 0]
    row = after(Repetition(3.0, window=3, slope=1.0), FLAT, prompt=[3, 0, 1, 2])
    assert row == [4.0, 2.0, pytest.approx(4 / 3), -4.0]
    # of five tokens the two oldest are far; one that is in both halves is near
    row = after(Repetition(3.0, far=0.5), FLAT, prompt=[0, 1, 2, 2, 1])
    assert row == [2.0, pytest.approx(4 / 3), pytest.approx(4 / 3), -4.0]


def exllama(logits, tokens, r, frequency, presence, sustain, decay):
    """Penalties from the newest token backwards, each lessened by the same step once the sustained range is over."""
    out, seen = np.array(logits), set()
    now = [r, frequency, presence]
    steps = [(1 - r) / decay, -frequency / decay, -presence / decay] if decay else [0, 0, 0]
    for age, token in enumerate(reversed(tokens)):
        if age >= sustain + decay:
            break
        if token not in seen:
            out[token] = out[token] / now[0] if out[token] > 0 else out[token] * now[0]
            out[token] -= now[2]
            seen.add(token)
        out[token] -= now[1]
        if age + 1 > sustain:
            now = [a + b for a, b in zip(now, steps, strict=True)]
    return out


def kobold(logits, tokens, r, n, slope):
    """The curve over the whole range, of which the last places are used where the text is shorter."""
    x = np.arange(n) / (n - 1) * 2 - 1
    factor = 1 + ((slope * x) / (1 + np.abs(x) * (slope - 1)) + 1) / 2 * (r - 1)
    out = np.array(logits)
    last = tokens[-n:]
    for token, f in zip(last, factor[-len(last) :], strict=True):
        out[token] = logits[token] / f if logits[token] > 0 else logits[token] * f
    return out


def koboldcpp(logits, tokens, r, n, slope):
    last = tokens[-n:]
    far, near = last[: len(last) // 2], last[len(last) // 2 :]
    out = np.array(logits)
    for token in set(last):
        f = r if token in near else 1 + (r - 1) * slope
        out[token] = logits[token] / f if logits[token] > 0 else logits[token] * f
    assert set(near) | set(far) == set(last)
    return out


def test_against_the_engines_loops():
    rng = np.random.default_rng(0)
    for _ in range(200):
        logits = rng.normal(scale=4, size=10)
        tokens = rng.integers(0, 10, rng.integers(1, 30)).tolist()
        begun, n, d = int(rng.integers(0, len(tokens) + 1)), int(rng.integers(2, 20)), int(rng.integers(0, 12))
        r, f, p = float(rng.uniform(0.6, 2)), float(rng.normal()), float(rng.normal())
        said = {"prompt": tokens[:begun], "drawn": tokens[begun:]}
        recent = {"scope": "all", "window": n, "decay": d}
        chain = Repetition(r, window=n, decay=d) | Presence(p, **recent) | Frequency(f, **recent)
        np.testing.assert_allclose(after(chain, logits, **said), exllama(logits, tokens, r, f, p, n, d), atol=1e-12)
        s = rng.uniform(0.1, 5)
        np.testing.assert_allclose(
            after(Repetition(r, window=n, slope=s), logits, **said), kobold(logits, tokens, r, n, s), atol=1e-12
        )
        far = rng.uniform()
        np.testing.assert_allclose(
            after(Repetition(r, window=n, far=far), logits, **said), koboldcpp(logits, tokens, r, n, far), atol=1e-12
        )


def test_each_row_has_its_own():
    x = np.array([[4.0, 4.0, -4.0]] * 2)
    sampler = Sampler(Repetition(2.0, window=[1, 3], decay=[2, 0], slope=[0.0, 1.0], far=[1.0, 0.5]))
    state = sampler.start([[0, 1, 2], [0, 1, 2]], seed=0)
    both = sampler.apply(x, state)
    alone = [
        after(Repetition(2.0, window=1, decay=2), x[0], prompt=[0, 1, 2]),
        after(Repetition(2.0, window=3, slope=1.0, far=0.5), x[0], prompt=[0, 1, 2]),
    ]
    assert both.tolist() == alone
    assert Repetition(2.0, decay=[0, 0], slope=[0, 0]).decay == (0, 0)  # off in each row, so no window is missed
    assert sampler.apply(torch.from_numpy(x), state).tolist() == alone
    assert sampler.apply(x[1:], state.take([1])).tolist() == alone[1:]


def test_ids_beyond_the_row_and_no_past_at_all():
    for rule in (Repetition(2.0, window=2, slope=2.0), Frequency(0.5, scope="all", window=2)):
        assert after(rule, [4.0, -4.0], prompt=[9, 9]) == [4.0, -4.0]
        assert after(rule, [4.0, -4.0], prompt=[2, 2]) == [4.0, -4.0]  # by one
        assert after(rule, [4.0, -4.0], prompt=[]) == [4.0, -4.0]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("repetition(1.2, decay=3)", r"Repetition\.decay must come with a window, after which it begins; got 3 alone"),
        ("frequency(1.2, decay=3)", r"Frequency\.decay must come with a window"),
        ("repetition(1.2, slope=1)", r"Repetition\.slope must come with a window, over which it falls; got 1.0 alone"),
        ("repetition(1.2, slope=linear(0, 1, steps=9))", r"falls; got linear\(0\.0, 1\.0, steps=9\) alone"),
        ("repetition(1.2, decay=[0, 3])", r"begins; got \[0, 3\] alone"),
        ("repetition(1.2, far=1.5)", r"Repetition\.far must be in \[0, 1\]; got 1.5"),
        ("presence(1, window=-1)", r"Presence\.window must be a whole number >= 0; got -1"),
        ("presence(1, scope='text')", r"Presence\.scope must be one of 'all', 'prompt', 'output'; got 'text'"),
    ],
)
def test_what_is_refused(text, match):
    with pytest.raises(RecipeError, match=match):
        parse(text)
