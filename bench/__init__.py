"""Benchmarks of the kernels and of whole models: `python -m bench`."""
