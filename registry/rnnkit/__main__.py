"""The command `rnnkit`, also as `python -m rnnkit`."""

from importlib.util import find_spec


def main() -> None:
    """Run the command.

    Raises:
        SystemExit: always, with the exit status that `rnnkit --help` documents.
    """
    if find_spec("click") is None:
        raise SystemExit('The command rnnkit requires click: run pip install "rnnkit[cli]"')
    from rnnkit.cli.group import commands

    commands(prog_name="rnnkit")


if __name__ == "__main__":
    main()
