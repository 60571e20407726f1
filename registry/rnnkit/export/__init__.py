"""Export models: to a `torch.export.ExportedProgram`, and to ONNX files. Each is verified before it is kept."""

from rnnkit.export._extra import missing_packages
from rnnkit.export._quiet import quiet_torch
from rnnkit.export._report import ExportReport
from rnnkit.export.onnx_file import export_onnx
from rnnkit.export.program import export_program, save_program

__all__ = ["ExportReport", "export_onnx", "export_program", "missing_packages", "quiet_torch", "save_program"]
