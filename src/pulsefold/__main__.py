"""``python -m pulsefold``."""

import sys

from pulsefold.cli import main

sys.exit(main())
