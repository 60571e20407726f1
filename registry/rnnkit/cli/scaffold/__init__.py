"""Creates the project of a new plugin. Imports neither torch nor any plugin."""

from rnnkit.cli.scaffold._folder import write_folder
from rnnkit.cli.scaffold._names import Names, names_of
from rnnkit.cli.scaffold._problems import NameProblem, find_problems
from rnnkit.cli.scaffold._project import ProjectFile, project_files

__all__ = ["NameProblem", "Names", "ProjectFile", "find_problems", "names_of", "project_files", "write_folder"]
