"""`python -m paragent` is the command line."""

import sys

from paragent.cli import main

if __name__ == "__main__":
    sys.exit(main())
