"""`python -m turnout.cli`: the commands where no console script is installed."""

import sys

from turnout.cli import main

sys.exit(main())
