"""The reference executor as one that can be registered."""

from rnnkit.plan import Executor, unroll


class Reference(Executor):
    name = "reference"

    def refuses(self, plan, dtype, device):
        return None

    def unroll(self, plan, cell, projected, state, lengths=None):
        return unroll(plan, cell, projected, state, lengths)
