"""The version, and the commit of a checkout: what a manifest says it was made by."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

__version__ = "0.1.0"


@cache
def git_commit() -> str | None:
    """Return the commit of the checkout this package runs from, with ``+`` if it has changes, None outside one."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None
