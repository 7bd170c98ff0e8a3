"""`python -m mechanical_ears.cli` is `ears`."""

import sys

from mechanical_ears.cli import main

if __name__ == "__main__":
    sys.exit(main())
