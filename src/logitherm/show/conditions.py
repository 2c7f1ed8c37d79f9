"""What keeps a token, in words: the critical values of a trace as one phrase for each token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from logitherm.show.table import bound

TRIVIAL = {(">=", 1.0), (">", 0.0), ("<=", 1.0), (">", 1e-6)}
"""Conditions that say nothing: k ≥ 1, p > 0, p ≤ 1, and T above where it is greedy."""

SIGNS = {">=": "≥", "<=": "≤"}


def conditions(trace: Mapping[str, Any], token: int, gone: bool) -> str:
    """What keeps a token (all must hold), or for one that is gone what its remover wants, and the T that lets it in."""
    heats = [s["stage"] for s in trace["stages"] if s["temperature"] is not None]
    words, needs = [], ""
    for c in trace["critical"]:
        if c["id"] != token or (not gone and (c["keeps"], c["value"]) in TRIVIAL):
            continue
        limit = f"{SIGNS.get(c['keeps'], c['keeps'])} {bound(c['value'], c['keeps'])}"
        if c["parameter"] == "T":
            which = f"T{[s['stage'] for s in trace['stages']].index(c['stage'])}" if len(heats) > 1 else "T"
            words.append(f"{which} {limit}")
        elif not c["kept"]:
            needs = f"✗ {c['rule']} wants {limit}"
        else:
            words.append(f"{c['rule']} {limit}")
    if gone:
        inviting = [word for word in words if word.startswith("T")]
        return ", or ".join([needs, *inviting] if needs else ["✗ wants " + inviting[0]] if inviting else ["✗"])
    return ", ".join(words) or "always"
