"""The table of proposed links, as `omniopt link` writes it and people review it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from omniopt.errors import Faults, nearest
from omniopt.identity.clusters import Links
from omniopt.tables import read_table
from omniopt.tables.sources import Source, display_name

#: Which ids of which sources may be one person, and how likely that is.
COLUMNS = ("source_a", "id_a", "source_b", "id_b", "probability")


def read_links(proposed: Source, names: list[str], faults: Faults) -> pd.DataFrame:
    """Read a table of proposed links; what is wrong with it goes among the faults."""
    frame = read_table(proposed, "links", faults, text=("source_a", "source_b", "id_a", "id_b"))
    file = display_name(proposed, "links")
    for column in COLUMNS:
        if column not in frame:
            if not faults:
                faults.add("the column is missing", file=file, table="links", column=column,
                           hint=nearest(column, frame.columns))  # fmt: skip
    if faults:
        return frame
    wrong = ~pd.to_numeric(frame["probability"], errors="coerce").between(0, 1)
    for row in np.flatnonzero(wrong)[:20]:
        faults.add(f"'{frame['probability'].iloc[row]}' is no probability", file=file, table="links",
                   row=int(row) + 1, column="probability", hint="Write a number from 0 to 1")  # fmt: skip
    for column in ("source_a", "source_b"):
        for name in sorted(set(frame[column].dropna()) - set(names)):
            faults.add(
                f"'{name}' is no source", file=file, table="links", column=column, hint=nearest(name, names)
            )
    return frame


def pairs_of(
    links: pd.DataFrame | None, people: pd.DataFrame, threshold: float
) -> tuple[Links, pd.DataFrame]:
    """Turn proposed links into pairs of nodes, and say what became of each."""
    if links is None:
        none = np.empty(0, np.int64)
        return (none, none), pd.DataFrame(columns=[*COLUMNS, "became"])
    index = pd.MultiIndex.from_arrays([people["source"], people["customer_id"]])
    one, other = (
        index.get_indexer(pd.MultiIndex.from_arrays([links[f"source_{side}"], links[f"id_{side}"]]))
        for side in "ab"
    )
    likely = links["probability"].to_numpy(float) >= threshold
    there = (one >= 0) & (other >= 0)
    became = np.select([~there, ~likely], ["an id is not there any more", "below the threshold"], "linked")
    kept = there & likely
    return (one[kept], other[kept]), links[[*COLUMNS]].assign(became=pd.Series(became, dtype="str"))
