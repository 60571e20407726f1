"""Kinds with one activation function and no gates."""
