"""Data sets: one contained in the package, others read from local files."""

from . import digits, fashion_mnist, mnist

__all__ = ["digits", "fashion_mnist", "mnist"]
