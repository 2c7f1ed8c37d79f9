"""What changes a rule's answer and what does not: the table of docs/theory.md, held to the rules by the tests."""

from dataclasses import fields, replace

COLUMNS = {
    "shift": {"": "·", "×": "changes"},
    "scale": {"c": "along", "=": "·", "×": "changes"},
    "temperature before": {"c": "commutes", "=": "·", "×": "matters"},
    "twice": {"": "·", "×": "acts again"},
    "order": {"": "·", "×": "may change"},
    "likeliest": {"": "·", "×": "may go"},
    "ids": {"": "·", "×": "named"},
    "padding": {"": "·", "×": "changes"},
}
"""Each column's marks and their words; × is the mark of what need not hold."""

TABLE = """
temperature                    |   | c | c | × |   |   |   |
entropy_rate                   |   | c | c | × |   |   |   |
dynamic_temperature, of="raw"  |   | × | c | × |   |   |   |
dynatemp, of="raw"             |   | × | c | × |   |   |   |
edt, of="raw"                  |   | × | c | × |   |   |   |
dynamic_temperature, of="kept" |   | × | × | × |   |   |   |
dynatemp, of="kept"            |   | × | × | × |   |   |   |
edt, of="kept"                 |   | × | × | × |   |   |   |
target_entropy                 |   | = | = |   |   |   |   |
entropy_cap                    |   | × | × |   |   |   |   |
risk_budget                    |   | × | × | × |   |   |   |
distortion_budget              |   | c | × |   |   |   |   |
top_k                          |   | c | c |   |   |   |   |
top_n_sigma                    |   | c | c | × |   |   |   |
top_p                          |   | × | × | × |   |   |   |
conformal                      |   | × | × | × |   |   |   |
min_p                          |   | × | × |   |   |   |   |
top_a                          |   | × | × | × |   |   |   |
epsilon                        |   | × | × |   |   |   |   |
eta                            |   | × | × | × |   |   |   |
p_less                         |   | × | × | × |   |   |   |
p_less_norm                    |   | × | × | × |   |   |   |
min_k                          |   | × | × | × |   |   |   |
top_h                          |   | × | × | × |   |   |   |
tfs                            |   | × | × | × |   |   |   |
typical                        |   | × | × | × |   | × |   |
xtc                            |   | × | × | × |   | × | × |
greedy_threshold               |   | × | × |   |   |   |   |
mirostat, version=2            |   | × | × |   |   |   |   |
mirostat, version=1            |   | × | × | × |   |   |   | ×
adaptive_p                     |   | × | × | × | × |   |   |
quadratic                      |   | × | × | × |   |   |   |
repetition                     | × | c | c | × | × |   |   |
length_decay                   | × | c | c | × | × |   | × |
frequency                      |   | × | × | × | × |   |   |
presence                       |   | × | × | × | × |   |   |
dry                            |   | × | × | × | × |   | × |
bias                           |   | × | × | × | × | × | × |
sequence_bias                  |   | × | × | × | × | × | × |
no_repeat_ngram                |   | c | c |   |   | × |   |
bad_words                      |   | c | c |   |   | × | × |
ban                            |   | c | c |   |   | × | × |
allow                          |   | c | c |   |   | × | × |
min_new_tokens                 |   | c | c |   |   | × | × |
forced_eos                     |   | c | c |   |   | × | × |
grammar                        |   | c | c |   |   | × | × |
"""
"""One line a rule, or a kind of it: a mark for each column."""

SPLIT = {"dynamic_temperature": "of", "dynatemp": "of", "edt": "of", "mirostat": "version"}
"""The parameter that decides in which line of the table a rule stands."""


def table():
    """The marks of each line, by column."""
    lines = [line.split("|") for line in TABLE.strip().splitlines()]
    return {name.strip(): dict(zip(COLUMNS, map(str.strip, marks), strict=True)) for name, *marks in lines}


def line_of(rule):
    """The name of the rule's line."""
    if rule.name not in SPLIT:
        return rule.name
    value = getattr(rule, SPLIT[rule.name])
    shown = f'"{value}"' if isinstance(value, str) else value
    return f"{rule.name}, {SPLIT[rule.name]}={shown}"


def words():
    """The table as docs/theory.md has it; print this into the page when a line changes."""
    heads = ["rule", *COLUMNS]
    lines = [[f"`{name}`", *(COLUMNS[c][m] for c, m in marks.items())] for name, marks in table().items()]
    lines = [[line[0].replace(", ", "`, `"), *line[1:]] for line in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *lines))


def lists(rule):
    """The rule's parameters that are lists, in which whole numbers are ids and nothing else is."""
    return [f.name for f in fields(rule) if "entry" in f.metadata and getattr(rule, f.name) is not None]


def renamed(rule, new):
    """The rule with token i called new[i] in its parameters."""
    return replace(rule, **{name: _renamed(getattr(rule, name), new) for name in lists(rule)})


def _renamed(value, new):
    if isinstance(value, tuple):
        return tuple(_renamed(v, new) for v in value)
    return int(new[value]) if isinstance(value, int) else value
