"""The tasks that rnnkit brings: `adding(200)` is the adding problem with 200 steps.

Their data is drawn at random or comes with an installed package; nothing is downloaded.
"""

from rnnkit.compare.tasks.adding import Adding

adding = Adding

__all__ = ["adding"]

TASKS = (Adding,)
