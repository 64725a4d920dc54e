"""``python -m typegrad`` is the command ``typegrad``."""

from __future__ import annotations

import sys

from typegrad.cli import main

if __name__ == "__main__":
    sys.exit(main())
