"""How a run of rules is told to a kernel: a kind and a few numbers for each rule."""

TEMPERATURE, TOP_K, TOP_P, MIN_P, LINEAR, INTERPOLATED, EXPONENTIAL = range(7)
"""Kinds of rules. Their numbers: t | k | p | log p | a, coefficients of max p, H, H / log n and varentropy, t_min,
t_max, of | low, high, exponent, of | t0, theta, base, of. `of`, always the last, is 1 for the row before any rule, and
0 for what reaches the rule."""

NUMBERS = 8
"""How many numbers a rule has room for."""

OF = NUMBERS - 1
"""The place of `of`."""

FINE, SPOILED, ASK, UNSURE = range(4)
"""What came of a row: a token; a row that none can be drawn from; one that only the plain rules can answer for; and,
inside a kernel, one that rough sums cannot decide."""
