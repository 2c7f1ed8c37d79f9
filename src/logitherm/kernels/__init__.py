"""Kernels: fast ways to compute what runs of rules define. Arrays in, arrays out; nothing here knows a rule."""
