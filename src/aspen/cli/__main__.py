"""`python -m aspen.cli` is the program `aspen`."""

import sys

from aspen.cli.main import main

sys.exit(main())
