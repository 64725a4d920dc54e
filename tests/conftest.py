"""What all tests rely on."""

from __future__ import annotations

import signal

# A process that was started in the background ignores Ctrl-C, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
