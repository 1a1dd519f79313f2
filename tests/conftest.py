"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# An example that takes long on a busy machine has not failed.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
