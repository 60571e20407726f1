"""Equations in LaTeX, read and computed."""
