"""Kinds whose step solves a differential equation approximately."""
