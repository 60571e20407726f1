"""The tasks of rnnkit: `adding(200)` is the adding problem with 200 steps.

Their data is drawn at random or comes with an installed package; nothing is downloaded. `from_file` and `from_frame`
make a task of a table of your own.
"""

from rnnkit.compare.tasks.adding import Adding
from rnnkit.compare.tasks.copying import Copying
from rnnkit.compare.tasks.delay import Delay
from rnnkit.compare.tasks.digits import Digits
from rnnkit.compare.tasks.flip_flop import FlipFlop
from rnnkit.compare.tasks.irregular_sine import IrregularSine
from rnnkit.compare.tasks.mackey_glass import MackeyGlass
from rnnkit.compare.tasks.motions import Motions
from rnnkit.compare.tasks.parity import Parity
from rnnkit.compare.tasks.recall import Recall
from rnnkit.compare.tasks.selective_copying import SelectiveCopying
from rnnkit.compare.tasks.table import from_file, from_frame
from rnnkit.compare.tasks.text import Text
from rnnkit.compare.tasks.vowels import Vowels

adding = Adding
copying = Copying
delay = Delay
digits = Digits
flip_flop = FlipFlop
irregular_sine = IrregularSine
mackey_glass = MackeyGlass
motions = Motions
parity = Parity
recall = Recall
selective_copying = SelectiveCopying
text = Text
vowels = Vowels

__all__ = [
    "adding",
    "copying",
    "delay",
    "digits",
    "flip_flop",
    "from_file",
    "from_frame",
    "irregular_sine",
    "mackey_glass",
    "motions",
    "parity",
    "recall",
    "selective_copying",
    "text",
    "vowels",
]

TASKS = (
    Adding,
    Copying,
    Delay,
    Digits,
    FlipFlop,
    IrregularSine,
    MackeyGlass,
    Motions,
    Parity,
    Recall,
    SelectiveCopying,
    Text,
    Vowels,
)
