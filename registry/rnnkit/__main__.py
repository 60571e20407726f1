"""The command `rnnkit`, also as `python -m rnnkit`."""


def main() -> None:
    raise SystemExit("not yet")


if __name__ == "__main__":
    main()
