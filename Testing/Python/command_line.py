"""The command line run in the process of the tests, so that PyTorch is imported once and not for each call."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys

from DystrophyDxLib.commands.main import main


def dystrophydx(*arguments: object) -> subprocess.CompletedProcess[str]:
    """What `dystrophydx` with these arguments returns and writes."""
    command = ["dystrophydx", *map(str, arguments)]
    said, complained = io.StringIO(), io.StringIO()
    own, interrupt, status = sys.argv, signal.getsignal(signal.SIGINT), 0
    sys.argv = command
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            main()
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.argv = own
        signal.signal(signal.SIGINT, interrupt)
    return subprocess.CompletedProcess(command, status, said.getvalue(), complained.getvalue())
