"""The trace file: a text kept with all that decided its tokens, so that they can be derived again without the model."""
