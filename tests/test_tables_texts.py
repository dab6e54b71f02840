"""Ids as Arrow text sort as Python sorts them, and are found whatever way they are looked up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from omniopt.tables import texts
from omniopt.tables.texts import text_codes, text_order, texts_of

LETTERS = list("abé\uffee\U0001f600")


def drawn(rng: np.random.Generator) -> list[str]:
    return ["".join(rng.choice(LETTERS, rng.integers(0, 4))) for _ in range(rng.integers(0, 30))]


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("many", [0, 1000], ids=["side by side", "hash table"])
def test_codes(seed: int, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MANY", many)
    rng = np.random.default_rng(seed)
    known = sorted({word for _ in range(3) for word in drawn(rng)})
    for asked in (drawn(rng) + known[::2], sorted(drawn(rng) + known[::2]), known, drawn(rng)[:3], []):
        found = text_codes(texts_of(pd.Series(asked, dtype="str")), pa.array(known, pa.large_string()))
        assert found.tolist() == [known.index(word) if word in known else -1 for word in asked]


@pytest.mark.parametrize("seed", range(10))
def test_order(seed: int) -> None:
    words = drawn(np.random.default_rng(seed))
    order = text_order(texts_of(pd.Series(words, dtype="str")))
    assert order is not None or words == sorted(words)
    if order is not None:
        assert [words[i] for i in order] == sorted(words)


def test_missing_ids_have_no_code() -> None:
    ids = pd.Series(["b", None, "a"], dtype="str")
    assert text_codes(texts_of(ids), pa.array(["a", "b"], pa.large_string())).tolist() == [1, -1, 0]


def test_pieces_of_arrays() -> None:
    ids = texts_of(pd.Series(["x", "a", "b", "y"], dtype="str"))
    assert text_codes(ids[1:3], ids[1:3]).tolist() == [0, 1]
    assert texts_of(pd.Series([7, 8])).to_pylist() == ["7", "8"]
    assert text_order(texts_of(pd.Series([], dtype="str"))) is None
