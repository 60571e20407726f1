"""How many times the usual number of random cases tests draw: the nightly tests set `TEST_REPEATS`."""

import os

REPEATS = int(os.environ.get("TEST_REPEATS", "1"))
