"""Run tools/rollout.py as a benchmark: `python -m bench.rollout`."""

import sys

from tools.rollout import main

if __name__ == "__main__":
    sys.exit(main())
