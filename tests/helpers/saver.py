"""Experiments with processes that are killed while they save: `python -m tests.helpers.saver EXPERIMENT FOLDER`.

Prints the result as JSON. Each process to be killed is a fork of this one, which has imported torch already.
"""

import contextlib
import json
import os
import random
import resource
import signal
import sys
from pathlib import Path

import torch

from rnnkit import RecurrentSpec, RnnkitError, build_model
from rnnkit.files.checkpoint.checkpoint_file import load_model, save_model

WRITING = {"_atomic_write.py", "_format.py"}  # modules of rnnkit
KILLS = 50


class Target:
    """A path to which two models are saved in turn, and the content of the file after each."""

    def __init__(self, folder, hidden_size=8):
        self.path = folder / "model.safetensors"
        spec = RecurrentSpec(kind="lstm", input_size=4, hidden_size=hidden_size)
        self.models = [build_model(spec), build_model(spec)]
        self.contents = [self._content(model) for model in self.models]

    def _content(self, model):
        save_model(model, self.path)
        return self.path.read_bytes()

    def holds(self):
        """The index of the model in the file; None if its content is that of neither."""
        content = self.path.read_bytes()
        load_model(self.path)
        return self.contents.index(content) if content in self.contents else None


def names_in(folder):
    return sorted(each.name for each in folder.iterdir())


def forked(act):
    """Start a process that runs a function and exits; returns its process id."""
    process = os.fork()
    if process:
        return process
    try:
        act()
    finally:
        os._exit(0)


def kill_oneself():
    os.kill(os.getpid(), signal.SIGKILL)


def at_line(number, act):
    """Run a function at the given line, counted from 0, of the lines that rnnkit executes while it writes."""
    left = number

    def trace(frame, event, _argument):
        nonlocal left
        if Path(frame.f_code.co_filename).name not in WRITING or "rnnkit" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                act()
        return trace

    sys.settrace(trace)


def killed_at_each_line(folder):
    """Save the new model over the old one in processes that are killed at each line in turn."""
    target = Target(folder)
    held = []
    ended = 0
    while not ended:
        save_model(target.models[0], target.path)

        def save_until_killed():
            at_line(len(held), kill_oneself)
            save_model(target.models[1], target.path)

        _, status = os.waitpid(forked(save_until_killed), 0)
        ended = not os.WIFSIGNALED(status)
        held.append(target.holds())
    return {"held": held}


def killed_at_any_moment(folder):
    """Save two models in turn in processes that are killed at random moments."""
    target = Target(folder, hidden_size=200)
    moments = random.Random(0)  # noqa: S311  # not a secret
    held = []
    for _ in range(KILLS):
        read, write = os.pipe()

        def save_on_and_on(write=write):
            while True:
                for model in target.models:
                    save_model(model, target.path)
                    os.write(write, b".")

        process = forked(save_on_and_on)
        for _ in range(moments.randint(1, 2)):
            os.read(read, 1)
        for _ in range(moments.randrange(10**6)):  # wait for some milliseconds without a clock
            pass
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(read)
        os.close(write)
        held.append(target.holds())
    return {"held": held}


def two_at_once(folder):
    """Read a path while two processes save different models to it repeatedly."""
    target = Target(folder, hidden_size=100)

    def save_often(model):
        for _ in range(40):
            save_model(model, target.path)

    processes = {forked(lambda model=model: save_often(model)) for model in target.models}
    read = []
    while processes:
        weight = next(load_model(target.path).parameters())
        read.append(any(torch.equal(weight, next(model.parameters())) for model in target.models))
        done, _ = os.waitpid(-1, os.WNOHANG)
        processes.discard(done)
    return {"read": read, "held": [target.holds()], "files": names_in(folder)}


def no_space(folder):
    """Save a model with a limit on the size of files."""
    target = Target(folder)
    exit_codes = []

    def save_in_little_space(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with contextlib.suppress(RnnkitError, OSError):
            save_model(target.models[0], target.path)
            os._exit(1)  # it was saved despite the limit
        os._exit(2)

    size = len(target.contents[0])
    for limit in (0, 100, size // 2, size - 1, size):
        _, status = os.waitpid(forked(lambda limit=limit: save_in_little_space(limit)), 0)
        exit_codes.append(os.waitstatus_to_exitcode(status))
    return {"exit_codes": exit_codes, "held": [target.holds()], "files": names_in(folder)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    experiments = {each.__name__: each for each in (killed_at_each_line, killed_at_any_moment, two_at_once, no_space)}
    print(json.dumps(experiments[sys.argv[1]](Path(sys.argv[2]))))  # noqa: T201  # the result
