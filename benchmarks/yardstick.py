"""What a project's candidates cost to read and to look at once: ``python benchmarks/yardstick.py PROJECT``.

The yardstick is one ``numpy.maximum.reduceat`` over the candidates' values, the median of five; beside
it stand the seconds that pyarrow needs to read the candidates' columns, ids as dictionaries. Prints one
JSON object.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def measure(project: Path) -> dict[str, float]:
    """Read the candidates of a project folder that synthetic.py wrote, and take both times."""
    values, starts, reading, size = [], [], 0.0, 0
    for part in sorted((project / "candidates").glob("*.parquet")):
        began = time.perf_counter()
        table = pq.ParquetFile(part, read_dictionary=["customer_id", "action_id"]).read()
        reading += time.perf_counter() - began
        codes = table.column("customer_id").unify_dictionaries().combine_chunks().indices.to_numpy()
        starts.append(size + np.flatnonzero(np.diff(codes, prepend=-1)))
        values.append(table.column("value").to_numpy())
        size += len(table)
    value, start = np.concatenate(values), np.concatenate(starts)
    del values, table
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        np.maximum.reduceat(value, start)
        taken.append(time.perf_counter() - began)
    return {"yardstick_seconds": statistics.median(taken), "pyarrow_seconds": reading}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
