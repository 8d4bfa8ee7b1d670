"""What Ray reads of the environment, once and for all, when it is first imported, by whichever package."""

from __future__ import annotations

import os
import secrets

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_worker_register_timeout_seconds": "300",
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
"""By the first, Ray takes 127.0.0.1 for this computer's address; an address that it is given it would replace."""


def settle_environment(*, local: bool) -> None:
    """Makes Ray quiet and, on this computer, closed to others.

    Args:
        local: whether Ray is begun on this computer; its token is then that of this run, and no file in the home.
    """
    settings = _QUIET | LOOPBACK | {"RAY_AUTH_TOKEN": secrets.token_hex(32)} if local else _QUIET
    for name, value in settings.items():
        os.environ.setdefault(name, value)
