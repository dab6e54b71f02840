"""Distinct rows, against numpy's own along an axis."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from omniopt.rules.distinct import distinct, numbered

FAR = 2**62  # two columns of such numbers do not fit into one


@given(
    st.integers(1, 4).flatmap(
        lambda columns: st.lists(
            st.tuples(*[st.sampled_from([-FAR, -3, 0, 1, 2, FAR])] * columns), min_size=1, max_size=30
        )
    )
)
def test_as_numpy_along_an_axis(rows: list[tuple[int, ...]]) -> None:
    columns = np.array(rows, np.int64).T
    wanted, place = np.unique(columns, axis=1, return_inverse=True)
    assert np.array_equal(np.stack(distinct(*columns)), wanted)
    assert np.array_equal(numbered(*columns), place)


def test_short_numbers_keep_their_order() -> None:
    narrow = np.array([30_000, -30_000, 30_000], np.int16)
    assert numbered(narrow, np.zeros(3, np.int64)).tolist() == [1, 0, 1]


def test_no_rows() -> None:
    nothing = np.zeros(0, np.int64)
    assert [column.tolist() for column in distinct(nothing, nothing)] == [[], []]
    assert numbered(nothing, nothing).tolist() == []
