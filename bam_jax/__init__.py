"""Trains one encoder for many tasks, with teachers, in JAX."""

__version__ = "0.1.0"
