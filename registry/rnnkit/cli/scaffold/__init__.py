"""Writes the distribution of a new plugin, for its author to go on from. Imports neither torch nor any plugin."""
