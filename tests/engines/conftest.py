"""The rows on which engines are compared."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def rows():
    """500 rows of 1,000 logits: from sharp to flat."""
    random = np.random.Generator(np.random.Philox(5))
    return (random.normal(size=(500, 1000)) * random.uniform(0.3, 6, size=(500, 1))).astype(np.float32)


@pytest.fixture(scope="session")
def batches(rows, gpt2):
    """The random rows, and GPT-2's."""
    return [rows, gpt2]
