"""Export models: to a `torch.export.ExportedProgram`, and to ONNX files that are verified before they are kept."""

from rnnkit.export.onnx_file import ExportReport, export_onnx
from rnnkit.export.program import export_program

__all__ = ["ExportReport", "export_onnx", "export_program"]
