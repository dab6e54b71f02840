"""Connected parts against a search by hand; clusters that cannot be one person are taken apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from omniopt.identity.clusters import clusters, parts, same_value

NONE = (np.empty(0, np.int64), np.empty(0, np.int64))


def _keys(**columns: list[str | None]) -> dict[str, pd.Series]:
    return {name: pd.Series(cells, dtype="str") for name, cells in columns.items()}


def test_links_are_transitive() -> None:
    keys = _keys(email=["a", "a", None, "d"], phone=[None, "1", "1", "2"])
    part, doubtful = clusters(keys, np.arange(4), NONE, 5)
    assert part.tolist() == [0, 0, 0, 3]
    assert doubtful.empty


def test_two_customer_numbers_are_two_customers() -> None:
    keys = _keys(customer_number=["1", "2", "1"], phone=["9", "9", None])
    part, doubtful = clusters(keys, np.array([0, 0, 1]), NONE, 5)
    assert part.tolist() == [0, 1, 0]
    (row,) = doubtful.to_dict("records")
    assert row["reason"] == "2 customer numbers" and row["customers"] == 2 and row["ids"] == 3
    assert row["linked_by"] == "customer number alone"


def test_too_many_ids_of_a_source_are_as_many_customers() -> None:
    keys = _keys(email=["a", "a", None, None], phone=[None, "1", "1", "1"])
    part, doubtful = clusters(keys, np.zeros(4, int), NONE, 2)
    assert part.tolist() == [0, 1, 2, 3]
    assert doubtful["linked_by"].tolist() == ["nothing: each id is a customer"]
    assert "4 ids of one source" in doubtful["reason"].iloc[0]


def test_a_proposed_link_that_contradicts_exact_keys_goes_first() -> None:
    keys = _keys(customer_number=["1", None, "2"], email=["a", "a", None])
    part, doubtful = clusters(keys, np.array([0, 1, 0]), (np.array([1]), np.array([2])), 5)
    assert part.tolist() == [0, 0, 2]
    assert doubtful["linked_by"].tolist() == ["exact keys alone"]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_parts_are_those_of_a_search_by_hand(rows: list[tuple[int, int]]) -> None:
    one, other = (
        pd.Series([str(row[at]) for row in rows]).mask([row[at] == 0 for row in rows]) for at in (0, 1)
    )
    found = parts(len(rows), [same_value(one), same_value(other)])
    expected = list(range(len(rows)))
    for _ in rows:
        for i, a in enumerate(rows):
            for j, b in enumerate(rows):
                if any(a[at] == b[at] != 0 for at in (0, 1)):
                    expected[i] = expected[j] = min(expected[i], expected[j])
    assert found.tolist() == expected
