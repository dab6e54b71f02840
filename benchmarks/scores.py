"""How fast customers are scored: ``python benchmarks/scores.py``, a million of them with thirty actions each.

Writes a synthetic project below ``--data`` (kept for the next time), runs ``omniopt score`` on it in a
process of its own on ``--cores`` cores, and prints one JSON object: seconds and memory of the
whole command (reading, learning, scoring, writing), and what was written.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from commands import python

OFFERS, CHANNELS = 10, ("app", "email", "mail")
#: Past contacts for each customer.
PAST = 1.0
SECONDS, MEMORY_GB = 180, 6

_PROJECT = """version: 1
name: scores
seed: 7
horizon: {start: 2026-11-23, days: 28}
tables: {customers: customers.parquet, offers: offers.csv, channels: channels.csv, history: history.parquet}
policy: {objective: value - cost}
"""


def write(folder: Path, customers: int) -> Path:
    """Write a project whose customers differ in age, region and spend, and respond accordingly."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    ids = np.array([f"c{i:08d}" for i in range(customers)])
    age, spend = rng.uniform(18, 90, customers).round(), rng.gamma(2.0, 50.0, customers).round(2)
    region = rng.choice(["north", "east", "south", "west"], customers)
    frame = pd.DataFrame({"customer_id": ids, "age": age, "spend": spend, "region": region})
    frame.to_parquet(folder / "customers.parquet")
    offers = [f"o{i}" for i in range(OFFERS)]
    categories = [f"k{i % 4}" for i in range(OFFERS)]
    pd.DataFrame({"offer_id": offers, "category": categories, "value": 20.0}).to_csv(
        folder / "offers.csv", index=False
    )
    pd.DataFrame({"channel": CHANNELS, "unit_cost": [0.01, 0.02, 0.8]}).to_csv(
        folder / "channels.csv", index=False
    )
    size = int(PAST * customers)
    who, offer = rng.integers(0, customers, size), rng.integers(0, OFFERS - 1, size)  # the last one is new
    channel = rng.integers(0, len(CHANNELS), size)
    # One contact a day and customer at most: a key of history stands once.
    days = rng.integers(-360, 0, size)
    p = 1 / (1 + np.exp(3 - (age[who] - 50) / 25 - 0.2 * (offer % 4) + 0.4 * channel))
    history = pd.DataFrame(
        {"customer_id": ids[who], "offer_id": np.array(offers)[offer], "channel": np.array(CHANNELS)[channel],
         "date": pd.Timestamp("2026-11-23") + pd.to_timedelta(days, "D"),
         "outcome": np.where(rng.random(size) < p, "responded", "delivered")}
    ).drop_duplicates(["customer_id", "offer_id", "channel", "date"])  # fmt: skip
    history.to_parquet(folder / "history.parquet")
    (folder / "omniopt.yaml").write_text(_PROJECT, encoding="utf-8")
    return folder


def measure(data: Path, customers: int, cores: int) -> dict[str, Any]:
    """Score the project once and return what it took."""
    folder = data / f"scores-{customers}"
    if not (folder / "omniopt.yaml").exists():  # it is written last
        write(folder, customers)
    out = folder / "scores.parquet"
    status, seconds, memory, said = python(
        "-m", "omniopt", "score", str(folder), "--out", str(out), cores=cores
    )
    found: dict[str, Any] = {"customers": customers, "exit": status, "seconds": seconds}
    found["peak_gb"] = memory / 1024
    if status:
        return found | {"said": said.strip()}
    found["rows"] = pq.ParquetFile(out).metadata.num_rows
    asked = {"seconds": (seconds, SECONDS), "memory_gb": (found["peak_gb"], MEMORY_GB)}
    return found | {
        "target": {
            name: {"asked": most, "reached": reached, "met": reached <= most}
            for name, (reached, most) in asked.items()
        }
    }


def main() -> None:
    """Score as many customers as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("benchmark-data"), help="where projects are kept")
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    print(json.dumps(measure(given.data, given.customers, given.cores), indent=1))


if __name__ == "__main__":
    main()
