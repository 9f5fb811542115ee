"""Run the command with ``python -m contractconv``."""

import sys

from contractconv.cli import main

sys.exit(main())
