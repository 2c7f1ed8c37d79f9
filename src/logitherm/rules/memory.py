"""What rules with a memory need when they learn: where the rows stood, and what the rule itself had received."""

from __future__ import annotations

from typing import Any

from logitherm.arrays import Array
from logitherm.state import At, Step


def asked(step: Step) -> At:
    """Where the rows stood when the step was asked for, without its tokens: for the parameters that it used."""
    history = step.state.history
    return At(step.raw, step.state.grown(history.crop(history.lengths - 1)))


def received(memory: Any, step: Step) -> Array:
    """The logits that the rule with this very memory received in this step; the chain before it runs once more."""
    logits: Any = step.logits  # of a sampler, which knows its chain
    stages = logits.sampler.stages(step.raw, logits.state)
    return next(before for _, before, _, at in stages if at.memory is memory)
