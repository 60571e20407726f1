"""The branch with all published versions, which is written without a checkout of it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

NAME, REMOTE = "gh-pages", "origin"
REFERENCE = f"refs/heads/{NAME}"


class VersionsBranch:
    """The branch `gh-pages` of a repository: a folder for each version, and some files at its root."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    def pull(self) -> None:
        """Bring the branch up to date with the remote, if the remote has it."""
        if self._git("ls-remote", REMOTE, REFERENCE):
            self._git("fetch", REMOTE, f"{REFERENCE}:{REFERENCE}")

    def push(self) -> None:
        """Push the branch to the remote."""
        self._git("push", REMOTE, REFERENCE)

    def read(self, name: str) -> str | None:
        """Return the text of a file at the root; None if there is no such file."""
        return self._git("show", f"{REFERENCE}:{name}") if name in self._entries() else None

    def commit(self, files: dict[str, str], folders: dict[str, Path], message: str) -> None:
        """Commit files and folders at the root, in place of those of the same names; all others stay.

        Args:
            files: the text of each file, by name.
            folders: the folder to copy, by the name that it gets.
            message: the message of the commit.
        """
        entries = self._entries()
        entries |= {name: f"100644 blob {self._store_text(text)}" for name, text in files.items()}
        stored = {folder: self._store_folder(folder) for folder in set(folders.values())}
        entries |= {name: f"040000 tree {stored[folder]}" for name, folder in folders.items()}
        root = self._git("mktree", "-z", stdin="".join(f"{what}\t{name}\0" for name, what in entries.items()))
        parent = ["-p", REFERENCE] if self._exists() else []
        self._git("update-ref", REFERENCE, self._git("commit-tree", root, "-m", message, *parent))

    def _store_text(self, text: str) -> str:
        return self._git("hash-object", "-w", "--stdin", stdin=text)

    def _store_folder(self, folder: Path) -> str:
        repository = self._git("rev-parse", "--absolute-git-dir")
        with tempfile.TemporaryDirectory() as scratch:
            # an index of its own: what the developer has staged stays as it is
            index = {"GIT_INDEX_FILE": f"{scratch}/index", "GIT_DIR": repository, "GIT_WORK_TREE": str(folder)}
            self._git("-c", "core.autocrlf=false", "-C", str(folder), "add", "--all", "--force", ".", **index)
            return self._git("write-tree", **index)

    def _exists(self) -> bool:
        return bool(self._git("for-each-ref", REFERENCE))

    def _entries(self) -> dict[str, str]:
        """Return the mode, type and hash of each entry of the root, by name."""
        listed = self._git("ls-tree", "-z", REFERENCE).split("\0") if self._exists() else []
        return {name: what for what, _, name in (entry.partition("\t") for entry in listed if entry)}

    def _git(self, *arguments: str, stdin: str = "", **variables: str) -> str:
        done = subprocess.run(  # noqa: S603  # our own
            ["git", *arguments],  # noqa: S607  # that of the developer
            cwd=self._repository,
            env=os.environ | variables,
            input=stdin,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
        return done.stdout.strip("\n")
