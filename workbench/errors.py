"""One tree of errors; each says where, what was found, and what to do, in one line.

    YanmoError
    ├── UserError          exit code 2: the user can mend it
    │   ├── InputError     a file or folder that is read
    │   ├── ConfigError    a setting, a recipe, a command-line word
    │   ├── OutputError    a folder that cannot be written, or belongs to something else
    │   └── MissingPackage an optional package that is not installed
    └── GateFailed         exit code 3: the work was done and did not pass

Anything else that escapes is a bug: exit code 1, with its traceback. ``assert`` marks bugs, never a user's mistake.
"""

from __future__ import annotations


class YanmoError(Exception):
    """The root of what this project raises on purpose."""

    exit_code = 1


class UserError(YanmoError):
    """A mistake that the user can mend: one line of place, finding and remedy."""

    exit_code = 2

    def __init__(self, place: object, found: str, remedy: str) -> None:
        """Remember the three parts.

        Args:
            place: The file (with line or offset), setting or word it is about.
            found: What was found there.
            remedy: What to do about it.
        """
        self.place = str(place)
        self.found = found
        self.remedy = remedy
        super().__init__(place, found, remedy)

    def __str__(self) -> str:
        return " ".join(f"{self.place}: {self.found}; {self.remedy}".split())


class InputError(UserError):
    """A file or folder that is read is missing, empty or not what it should be."""


class ConfigError(UserError):
    """A setting, a recipe or a word of the command line is wrong."""


class OutputError(UserError):
    """An output cannot be written, or its folder belongs to something else."""


class MissingPackage(UserError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        """Name the package and the extra that brings it.

        Args:
            package: The import name that failed.
            extra: The extra of ``yanmo`` that installs it.
        """
        super().__init__(package, "is not installed", f"pip install 'yanmo[{extra}]'")


class GateFailed(YanmoError):
    """The work was done, and its result did not pass a gate that the user set."""

    exit_code = 3
