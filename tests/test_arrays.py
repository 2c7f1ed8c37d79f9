"""The array operations themselves."""

import sys
from types import ModuleType

import numpy as np

from logitherm.arrays import is_torch


def test_nothing_is_a_tensor_while_another_thread_is_importing_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))  # what the others see until its first class is made
    assert not is_torch(np.zeros(3))
