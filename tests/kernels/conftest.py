"""Tests of kernels are with kernels."""

import pytest

from logitherm.plan import VARIABLE


@pytest.fixture(autouse=True)
def kernels_are_on(monkeypatch):
    """Also where the suite runs with LOGITHERM_PLAN=plain."""
    monkeypatch.delenv(VARIABLE, raising=False)
