"""Scores of many customers written as they are made, so that memory does not grow with their number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from omniopt.knowledge.response import ResponseModel

_SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("offer_id", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("p_response", pa.float64(), nullable=False),
    ]
)


def write_scores(model: ResponseModel, path: Path | str) -> int:
    """Write all scores of a model as Parquet, lot by lot.

    Parameters
    ----------
    model : ResponseModel
    path : Path or str
        The file; it is replaced when all scores are written, and left as it was if that fails.

    Returns
    -------
    int
        How many rows were written: customer_id, offer_id, channel and p_response, sorted by the first three,
        the same as `ResponseModel.score` returns.
    """
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.unfinished")
    rows = 0
    try:
        with pq.ParquetWriter(unfinished, _SCHEMA, compression="zstd", store_schema=False) as writer:
            for customers, p in model.lots():
                table = _table(customers.to_numpy(object), model.offers, model.channels, p)
                writer.write_table(table, row_group_size=1 << 20)
                rows += len(table)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def _table(customers: np.ndarray, offers: list[str], channels: list[str], p: np.ndarray) -> pa.Table:
    """Lay out a lot as columns; ids stand once each, and rows refer to them."""
    customer, offer, channel = np.indices(p.shape, np.int32).reshape(3, -1)
    ids = [
        pa.DictionaryArray.from_arrays(code, pa.array(names, pa.string())).cast(pa.string())
        for code, names in ((customer, customers), (offer, offers), (channel, channels))
    ]
    return pa.table([*ids, pa.array(p.ravel())], schema=_SCHEMA)
