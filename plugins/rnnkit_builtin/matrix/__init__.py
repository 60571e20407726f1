"""Kinds whose state is a matrix for each head, with a linear recurrence."""
