"""What several tests share: where the field data lies, and rows of logits that make trouble."""

from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def gpt2():
    """Three rows of next-token logits of GPT-2 124M, (3, 50257) float32."""
    path = DATA / "logits" / "gpt2_124m.npz"
    if not path.is_file():
        pytest.skip("needs ../shared/data/logits/gpt2_124m.npz, which a clone of the project alone does not have")
    stored = np.load(path)
    return np.stack([stored[f"logits_{i}"] for i in range(3)])
