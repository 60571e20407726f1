"""Finds the browser that the site is tested in, or installs it: `python -m docs.site.chromium` prints its path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

VARIABLE = "CHROMIUM"
# first the build without a window: it takes half the processor time
COMMANDS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
    "microsoft-edge",
)
ELSEWHERE = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
)
UPDATE = ["apt-get", "update"]
INSTALL = ["apt-get", "install", "-y", "--no-install-recommends"]
PACKAGES = ("chromium-headless-shell", "chromium")  # the first that the distribution has
FLAGS = (
    "--no-sandbox",  # a container has no rights to make one, and every page is our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none",  # the headless build hints by default, which makes text wider than in a window
    # no name is looked up: what asks for another host fails at once, and is seen
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class BrowserMissingError(Exception):
    """There is no Chromium, and it cannot be installed from here."""


def found() -> str | None:
    """The path of the browser that the environment names, or else of one that is installed."""
    if named := os.environ.get(VARIABLE):
        if path := shutil.which(named):
            return path
        raise BrowserMissingError(f"{VARIABLE} is {named!r}, which is not a program: set it to the path of Chromium")
    paths = (shutil.which(name) for name in (*COMMANDS, *ELSEWHERE))
    return next((path for path in paths if path), None)


def chromium() -> str:
    """The path of the browser, which is installed if there is none.

    Raises:
        BrowserMissingError: there is none, and it cannot be installed; says what to do.
    """
    return found() or installed()


def installed() -> str:
    if not shutil.which("apt-get"):
        raise BrowserMissingError(advice("there is no apt-get here to install it with"))
    prefix = rights()
    run([*prefix, *UPDATE])  # if one list of packages is not available, the others may suffice
    if all(run([*prefix, *INSTALL, package]) for package in PACKAGES):
        raise BrowserMissingError(advice(f"`{' '.join(INSTALL)}` failed for each of {', '.join(PACKAGES)}"))
    if path := found():
        return path
    raise BrowserMissingError(advice("apt-get has installed a package, but the command of Chromium is missing"))


def rights() -> list[str]:
    """Return the prefix of a command that needs root: `sudo`, where it asks for no password."""
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    if shutil.which("sudo") and run([*sudo, "true"]) == 0:
        return sudo
    raise BrowserMissingError(advice("only root may install it, and there is no sudo that works without a password"))


def run(command: list[str]) -> int:
    """The status of a command, which is shown with its output where errors go: what is printed here is a path."""
    print("$", *command, file=sys.stderr, flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode  # noqa: S603  # our own


def advice(why: str) -> str:
    return (
        f"The site is tested in Chromium, which is not installed; {why}. Install Chromium or Chrome,"
        f" or set {VARIABLE} to the path of one."
    )


if __name__ == "__main__":
    try:
        print(chromium())
    except BrowserMissingError as error:
        sys.exit(str(error))
