"""Variables are checked before they are sealed, and kept within their limits."""

from __future__ import annotations

import pytest
from tests.functions.lab import lab_of

from convexlab import errors, knobs
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.system_tables import SYSTEM_TABLES
from convexlab.functions import variables
from convexlab.functions.variables import Change, SealedChange, Update

SEAL = b"s" * variables.SEAL_BYTES


@pytest.fixture
def lab():
    return lab_of("")


def update(lab, **values):
    """Change some; what is sealed here is the text itself."""
    tx = lab.committer.begin()
    changes = [
        SealedChange(name, None if value is None else SEAL + value)
        for name, value in values.items()
    ]
    variables.update(tx, Update(changes))
    lab.committer.accept(tx.finish())


def kept(lab):
    tx = lab.committer.begin(system=True)
    return {
        one["name"]: one["sealed"].removeprefix(SEAL)
        for _, one in tx.range(
            SYSTEM_TABLES["_environment_variables"].by_id, EVERYTHING
        )
    }


@pytest.mark.parametrize("name", ["A", "_", "a_1", "_LEADING", "A" * 256, "PATH"])
def test_what_may_be_a_name(name):
    variables.check([Change(name, "x")])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", errors.EnvVarNameInvalid),
        ("1A", errors.EnvVarNameInvalid),
        ("A-B", errors.EnvVarNameInvalid),
        ("A=B", errors.EnvVarNameInvalid),
        ("A\n", errors.EnvVarNameInvalid),
        ("Ä", errors.EnvVarNameInvalid),
        ("A" * 257, errors.EnvVarNameTooLong),
        ("CONVEX_CLOUD_URL", errors.EnvVarNameForbidden),
        ("CONVEX_SITE_URL", errors.EnvVarNameForbidden),
    ],
)
def test_what_may_not(name, kind):
    with pytest.raises(kind):
        variables.check([Change(name, "x")])


def test_values_are_of_8_kib_at_most_and_hold_no_nul():
    variables.check([Change("A", ""), Change("B", "x" * 8192), Change("C", "a\nb ü")])
    with pytest.raises(errors.EnvVarValueTooLarge, match="`A` has 8193 bytes"):
        variables.check([Change("A", "x" * 8193)])
    with pytest.raises(errors.EnvVarValueTooLarge):
        variables.check([Change("A", "ü" * 4097)])
    with pytest.raises(errors.EnvVarValueInvalid, match="NUL") as refused:
        variables.check([Change("A", "secret\0")])
    assert "secret" not in str(refused.value)


def test_a_name_is_changed_once_at_a_time():
    with pytest.raises(errors.EnvVarNameNotUnique, match="`A` is changed twice"):
        variables.check([Change("A", "1"), Change("A", None)])


def test_any_name_may_be_taken_away():
    variables.check([Change("1 strange name", None)])


def test_variables_are_set_changed_and_taken_away(lab):
    update(lab, A=b"1", B=b"2")
    update(lab, A=b"3", B=None, C=b"4", NONE=None)
    assert kept(lab) == {"A": b"3", "C": b"4"}


def test_there_are_not_too_many(lab, monkeypatch):
    monkeypatch.setattr(knobs, "MAX_ENV_VARS", 3)
    update(lab, A=b"1", B=b"2", C=b"3")
    with pytest.raises(errors.EnvVarLimitMet, match=r"would be 4 .* 3 are the most"):
        update(lab, D=b"4")
    update(lab, A=None, D=b"4")
    assert sorted(kept(lab)) == ["B", "C", "D"]


def test_they_are_not_too_much_together(lab, monkeypatch):
    monkeypatch.setattr(knobs, "MAX_ENV_VARS_BYTES", 10)
    update(lab, A=b"1234", B=b"5678")
    with pytest.raises(errors.EnvVarTotalSizeLimitMet, match="have 11 bytes"):
        update(lab, B=b"56789")
    assert kept(lab) == {"A": b"1234", "B": b"5678"}
