"""How long it takes to link a million rows of sources by exact keys, and how much memory; prints JSON.

Three sources of people who share e-mail addresses, telephones and customer numbers in part, one of contacts.
"""

from __future__ import annotations

import argparse
import datetime
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from omniopt.errors import Faults
from omniopt.identity import link
from omniopt.project.sources import DataSource, Identity
from omniopt.tables import write_parquet
from omniopt.tables.convert import Days


def write_sources(folder: Path, rows: int, seed: int) -> None:
    """Write sources of people and contacts with so many rows in all."""
    rng = np.random.default_rng(seed)
    persons = rows // 3

    def keys(people: np.ndarray) -> dict[str, pd.Series]:
        name = pd.Series(people.astype(str), dtype="str")
        missing = [pd.Series(rng.random(len(people)) < 0.2) for _ in range(3)]
        return {
            "email": (name.radd("person") + "@mail.org").mask(missing[0]),
            "phone": name.radd("+49 171 1000").mask(missing[1]),
            "customer_number": name.radd("N-").mask(missing[2]),
        }

    for name, share in (("crm", 0.3), ("web", 0.25), ("app", 0.2)):
        size = int(rows * share)
        people = rng.choice(persons, min(size, persons), replace=False)
        ids = pd.Series(people.astype(str), dtype="str").radd(f"{name}-")
        city = pd.Series(rng.integers(0, 1000, len(people)).astype(str), dtype="str")
        changed = rng.integers(-500, 0, len(people))
        frame = pd.DataFrame({"customer_id": ids, **keys(people), "city": city, "changed": changed})
        write_parquet(frame, folder / f"{name}.parquet")
    people = rng.integers(0, persons, rows - int(rows * 0.75))
    contacts = pd.DataFrame({**keys(people), "date": rng.integers(-300, 0, len(people))})
    write_parquet(contacts, folder / "calls.parquet")


def main() -> None:
    """Write the sources, link them, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_sources(folder, given.rows, given.seed)
        declared = {
            name: DataSource(kind="customers", table=f"{name}.parquet", trust=trust, updated="changed")
            for name, trust in (("crm", 3), ("web", 2), ("app", 1))
        }
        constant = {"offer_id": "loan", "channel": "call", "outcome": "responded"}
        declared["calls"] = DataSource(kind="history", table="calls.parquet", values=constant)
        tables = {name: folder / f"{name}.parquet" for name in declared}
        faults, begin = Faults(), time.perf_counter()
        days = Days(datetime.date(2026, 11, 23), 7)
        linked = link(declared, Identity(country_code="49"), tables, None, days, faults)
        seconds = time.perf_counter() - begin
    faults.raise_if_any()
    assert linked is not None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 20 if sys.platform == "darwin" else 1 << 10
    )
    counts = linked.report["counts"]
    print(json.dumps({
        "rows": int(counts["rows"].sum()), "linked": int(counts["linked"].sum()),
        "set_aside": int(counts["set_aside"].sum()), "customers": len(linked.frames["customers"]),
        "conflicts": len(linked.report["conflicts"]), "doubtful": len(linked.report["doubtful"]),
        "seconds": round(seconds, 1), "peak_memory_mb": round(peak),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
