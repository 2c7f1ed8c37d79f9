"""Kernels for the processor, in Numba: plain loops over one row that LLVM turns into SIMD code."""
