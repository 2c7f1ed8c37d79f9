"""How a run of rules is told to a kernel: each a kind and a few numbers, in one float64 array (rows, rules, ENTRY)."""

TEMPERATURE, TOP_K, TOP_P, MIN_P, LINEAR, INTERPOLATED, EXPONENTIAL = range(7)
"""Kinds of rules. Their numbers: t | k | p | log p | a, coefficients of max p, H, H / log n and varentropy, t_min,
t_max, of | low, high, exponent, of | t0, theta, base, of. `of`, always the last, is 1 for the row before any rule, and
0 for what reaches the rule."""

EPSILON, ETA, TOP_A, P_LESS, P_LESS_NORM, TOP_N_SIGMA, MIN_K, TOP_H, FIRST_HUNDRED, TFS = range(10, 20)
"""Kinds whose cut is made of numbers of the row. Their numbers: log epsilon | log epsilon, log √epsilon | log a |
log of what the floor is lowered by | that itself | n | tau, what a drop is lowered by | alpha | alpha of top_h in
transformers' form | z."""

CONFORMAL, RANGES = 20, 4
"""A kind that is top_p with the p of the row's range of entropy. Its numbers: p of up to RANGES ranges, the edges
between them, inf where there is none."""

REPETITION, FREQUENCY, PRESENCE, UNREPEATED, LISTED = range(100, 105)
"""Kinds that change few tokens and stand at the head of a run. Their numbers: penalty | penalty | penalty | n | the
first of a list of pairs, the place after the last, before which position they count."""

NUMBERS = 8
"""How many numbers a rule has room for."""

ENTRY = 1 + NUMBERS
"""The kind, which stands first, and the numbers."""

OF = NUMBERS - 1
"""The place of `of` among the numbers."""

OFF = -1
"""The kind of a rule that does nothing to this row."""

DRAWN, APART, NARROW = -1, -2, -3
"""What came of a call: the rows' tokens, which stand in their histories; tokens whose histories have no room or belong
to another value; a workspace too small for a row. From 0 on: the row that no token could be drawn for."""

FLOAT32, BFLOAT16, FLOAT16 = range(3)
"""In what a batch of logits is given."""

MARKS = 64
"""About so many logits of a row make the mark by which it is known again."""

FINE, SPOILED, ASK, FULL, UNSURE = range(5)
"""What came of a row: a token; a row that none can be drawn from; one that only the plain rules can answer for; more
candidates than the workspace has room for; and, inside a kernel, one that rough sums cannot decide."""
