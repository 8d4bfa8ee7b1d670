"""Where the command `dystrophydx` begins: with nothing but Python's own modules, so that it runs without any extra."""

from __future__ import annotations

import sys

from .extras import lacking


def main() -> None:
    """Runs the command line, or says in one line what is missing for it."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    if lacking(None):
        print(f"dystrophydx: {lacking(command)}", file=sys.stderr)
        sys.exit(2)
    from .main import main as run

    run()
