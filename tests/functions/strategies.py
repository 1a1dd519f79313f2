"""Values, documents and filters at random."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from convexlab.documents.value import UNDEFINED, Int64

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([0.0, -0.0, 1.5, -2.5, math.inf, -math.inf, math.nan]),
    st.builds(Int64, st.integers(-3, 3)),
    st.text(alphabet="abé", max_size=2),
    st.binary(max_size=2),
)
# Lists of floats that the store packs: some that 32 bits hold, and others.
vectors = st.sampled_from(
    [
        [n / 1024 + 0.00048828125 for n in range(-35, 35)],
        [n / 7 for n in range(64)],
        [-0.0, 5e-324, *(n / 3 for n in range(70))],
    ]
).map(list)
values = st.recursive(
    scalars | vectors,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=3,
)
values_or_missing = st.just(UNDEFINED) | values


@st.composite
def documents(draw: st.DrawFn) -> dict[str, object]:
    """A document with some of the fields a, b and c."""
    fields = draw(st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=3))
    if "c" in fields and draw(st.booleans()):
        fields["c"] = {"d": draw(values)}
    return fields
