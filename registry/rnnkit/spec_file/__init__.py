"""Specs as files: JSON, TOML and YAML."""
