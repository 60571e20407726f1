"""The sections of a page, each from a kind and what was measured of it to Markdown."""
