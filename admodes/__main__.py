"""The command line: `python -m admodes coverage [--missing] [AREA …]`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from . import coverage


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command of the command line; `arguments` as after the program's name."""
    parser = argparse.ArgumentParser(prog="admodes", description="Derivatives of plain NumPy code.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("coverage", help="which functions can be differentiated, and why the others cannot")
    command.add_argument("area", nargs="*", help=f"modules, of {', '.join(coverage.AREAS)}; all unless given")
    command.add_argument("--missing", action="store_true", help="only the functions that raise, with the reasons")
    given = parser.parse_args(arguments)
    unknown = set(given.area) - set(coverage.AREAS)
    if unknown:
        parser.error(f"no such area: {', '.join(sorted(unknown))}; there are {', '.join(coverage.AREAS)}")
    coverage.table(missing=given.missing, areas=given.area or coverage.AREAS)


if __name__ == "__main__":
    main()
