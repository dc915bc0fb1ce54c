"""The command line: `admodes compare`, `trace`, `cost`, …; `admodes --help` lists the commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .commands.parser import parser
from .commands.run import guarded
from .core.plain import speak


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, `arguments` as after the program's name; the exit status."""
    speak(sys.stdout)
    options = parser().parse_args(arguments)
    return guarded(options.action, options)


if __name__ == "__main__":
    sys.exit(main())
