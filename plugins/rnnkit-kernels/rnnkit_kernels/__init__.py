"""rnnkit's own kernels: an executor that runs the plan of any step by a small native library."""

from rnnkit_kernels.executor import MachineExecutor

__all__ = ["MachineExecutor"]
