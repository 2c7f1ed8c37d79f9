"""Kernels for graphics cards, in Triton: one program a row, the plain rules' float64 operations in another order."""
