"""Whether `torch.export` traces."""

from __future__ import annotations

import torch

# torch 2.6 has no `is_exporting`: there a compiled model is traced as an exported one, which is right, and slower
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
