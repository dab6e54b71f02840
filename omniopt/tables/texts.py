"""Long columns of ids as Arrow text: their order, and where ids stand in it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

MANY = 100_000  # ids from which going through two sorted columns side by side beats a hash table


def texts_of(ids: pd.Series) -> pa.Array:
    """Lay ids out as one Arrow array of text; nothing is copied where they are that already."""
    if not isinstance(ids.dtype, pd.StringDtype):
        ids = ids.astype("str")
    texts = pa.array(ids.array, from_pandas=True).cast(pa.large_string())
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def text_order(texts: pa.Array) -> np.ndarray | None:
    """Return the positions that sort texts by code points, which is how Python sorts them.

    None where they are sorted already.
    """
    if _ascending(texts):
        return None
    # Arrow compares the bytes of UTF-8, whose order is that of the code points
    return pc.sort_indices(texts).to_numpy(zero_copy_only=False)


def sorted_texts(ids: pd.Series) -> pa.Array:
    """Return ids as text, sorted by code points, without missing ones."""
    texts = texts_of(ids).drop_null()
    order = text_order(texts)
    return texts if order is None else texts.take(order)


def text_codes(texts: pa.Array, known: pa.Array) -> np.ndarray:
    """Return where texts stand among the known ones, int64; -1 for unknown and missing ones.

    Parameters
    ----------
    texts, known : pyarrow.Array
        Large strings; the known ones sorted by code points, and none of them missing.
    """
    if texts.equals(known):  # the usual case of a table that lists the customers in their order
        return np.arange(len(known), dtype=np.int64)
    if len(known) < MANY or texts.null_count or (4 * len(texts) > len(known) and not _ascending(texts)):
        codes = pc.index_in(texts, value_set=known, skip_nulls=True)
        return codes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    from omniopt.tables.order import merged  # compiled code is slow to import

    order = text_order(texts)
    if order is None:
        return merged(*_buffers(texts), *_buffers(known))
    found = np.empty(len(texts), np.int64)
    found[order] = merged(*_buffers(texts.take(order)), *_buffers(known))
    return found


def _ascending(texts: pa.Array) -> bool:
    return bool(pc.all(pc.less_equal(texts[:-1], texts[1:]), skip_nulls=False, min_count=0).as_py())


def _buffers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return where each text begins and ends, and all bytes."""
    _, offsets, data = texts.buffers()
    begins = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return begins, np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
