"""Compare kinds: train every kind on every task from several seeds, and report the scores.

```python
from rnnkit.compare import compare, tasks

result = compare(kinds=["lstm", "gru"], tasks=[tasks.adding(200)], seeds=5)
print(result.table())
```
"""

from rnnkit.catalog import list_tasks
from rnnkit.catalog.registration import LocalTask, register_task
from rnnkit.compare import tasks
from rnnkit.compare.comparison import Comparison
from rnnkit.compare.environment import Environment
from rnnkit.compare.machine import processor_name, single_thread
from rnnkit.compare.objective import CLASSIFICATION, IGNORED, LANGUAGE, REGRESSION, Objective
from rnnkit.compare.registry import find_tasks
from rnnkit.compare.run import RunResult
from rnnkit.compare.runner import compare
from rnnkit.compare.table import Table
from rnnkit.compare.task import Batch, DatasetTask, GeneratedTask, Splits, Task
from rnnkit.compare.training import Point, Training, train

__all__ = [
    "CLASSIFICATION",
    "IGNORED",
    "LANGUAGE",
    "REGRESSION",
    "Batch",
    "Comparison",
    "DatasetTask",
    "Environment",
    "GeneratedTask",
    "LocalTask",
    "Objective",
    "Point",
    "RunResult",
    "Splits",
    "Table",
    "Task",
    "Training",
    "compare",
    "find_tasks",
    "list_tasks",
    "processor_name",
    "register_task",
    "single_thread",
    "tasks",
    "train",
]
