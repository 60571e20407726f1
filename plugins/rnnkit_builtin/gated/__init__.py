"""Kinds with gates, which run one step after another."""
