"""``python -m contractconv.playground OUT``: put the page together, to be published as files."""

from __future__ import annotations

import argparse
import sys

from contractconv.errors import ContractionError
from contractconv.notices import write
from contractconv.playground.build import build


def main() -> int:
    """Build the page; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m contractconv.playground", description=__doc__)
    parser.add_argument("out", metavar="OUT", help="the folder to put it in")
    try:
        print(f"wrote {build(parser.parse_args().out)}")
    except ContractionError as error:
        write(f"contractconv: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
