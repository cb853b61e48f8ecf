"""`python tests/cluster/harness …` from any folder, installed or not."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # the folder above the package, in place of the package itself

from harness.cli import main  # noqa: E402

sys.exit(main())
