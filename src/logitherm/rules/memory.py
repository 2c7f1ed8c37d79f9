"""What rules with a memory need when they learn: where the rows stood when the step was asked for."""

from __future__ import annotations

from logitherm.state import At, Step


def asked(step: Step) -> At:
    """Where the rows stood when the step was asked for, without its tokens: for the parameters that it used."""
    history = step.state.history
    return At(step.raw, step.state.grown(history.crop(history.lengths - 1)))
