"""`python -m benchmarks`: what rnnkit costs, as ratios to the same thing done by hand."""

import os

# Before torch is loaded. Threads that wait for one another would keep their processor busy meanwhile; where another
# program has one of the two, a call of 20 milliseconds then takes seconds, now on this side and now on that.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
