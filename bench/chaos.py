"""Run tools/chaos.py as a benchmark: `python -m bench.chaos`."""

import sys

from tools.chaos import main

if __name__ == "__main__":
    sys.exit(main())
