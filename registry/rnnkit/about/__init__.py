"""What kinds, specs and models tell about themselves."""
