"""`make torture`: kill builds a thousand times; goes on where it was stopped.

This file imports nothing until it runs: the workers of every build load the main module too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> None:
    """Kill, and write the figures."""
    from torture import torture

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how many in all")
    parser.add_argument("--most", type=int, default=8, help="of one build")
    parser.add_argument("--root", type=Path, required=True, help="a folder for the builds")
    parser.add_argument("--figures", type=Path, required=True, help="the file of figures")
    args = parser.parse_args()
    figures = torture(args.root, args.figures, args.kills, args.most)
    sys.stdout.write(f"{figures.kills:,} kills in {figures.chains:,} builds; nothing was lost\n")


if __name__ == "__main__":
    main()
