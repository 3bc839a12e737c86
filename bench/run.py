"""Run the benchmarks, as `schuss bench` does: `python bench/run.py --help`."""

import sys

from schuss.benchmark import main

if __name__ == "__main__":
    sys.exit(main())
