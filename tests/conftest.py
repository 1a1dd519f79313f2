"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# An example that takes long on a busy machine has not failed. A check of one commit
# tries the same examples each time; whoever works on the code tries new ones.
settings.register_profile(
    "unhurried",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("unhurried")
