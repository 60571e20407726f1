"""Kinds with an element-wise linear recurrence, which run in parallel over time."""
