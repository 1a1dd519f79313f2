from __future__ import annotations

import pytest

from convexlab.engine.limits import NO_LIMITS, Limits, Usage
from convexlab.errors import LimitExceeded

TINY = Limits(
    documents_read=2,
    bytes_read=10,
    read_intervals=2,
    writes=2,
    bytes_written=10,
    functions_scheduled=2,
    scheduled_bytes=10,
)


@pytest.mark.parametrize(
    ("step", "size", "kind"),
    [
        ("read", 1, "TooManyDocumentsRead"),
        ("read", 9, "TooManyBytesRead"),
        ("wrote", 1, "TooManyWrites"),
        ("wrote", 9, "TooManyBytesWritten"),
        ("scheduled", 1, "TooManyFunctionsScheduled"),
        ("scheduled", 9, "ScheduledFunctionsArgumentsTooLarge"),
    ],
)
def test_each_limit_has_its_kind(step: str, size: int, kind: str):
    usage = Usage(TINY)
    with pytest.raises(LimitExceeded) as raised:  # noqa: PT012
        for _ in range(3):
            getattr(usage, step)(size)
    assert raised.value.kind == kind


def test_the_system_has_no_limits():
    usage = Usage(NO_LIMITS)
    usage.read(1 << 40)
    usage.wrote(1 << 40)
    usage.scheduled(1 << 40)
