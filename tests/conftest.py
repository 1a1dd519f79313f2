"""What all tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# An example that takes long on a busy machine has not failed.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")
