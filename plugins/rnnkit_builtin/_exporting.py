"""Whether a model is exported."""

import torch

# torch 2.6 has no `is_exporting`: there a compiled model runs as an exported one, without operators of rnnkit
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
