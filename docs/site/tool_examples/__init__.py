"""A small example of each tool, run for every kind: `docs.site.tools` makes a table of the outcomes."""
