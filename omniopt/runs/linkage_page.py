"""What notebook 01 shows of the sources that became customers: figures over all, nobody's own data."""

from __future__ import annotations

import pandas as pd

from omniopt.runs.html import Fragment, number, paragraph, percent, table, tiles
from omniopt.tables import Tables


def linkage(tables: Tables) -> Fragment:
    """How many rows of which source were linked, what was set aside, and what was settled."""
    report = tables.linkage
    if not report:
        return Fragment(paragraph("The customers are given as one table: nothing was linked."))
    counts = report["counts"]
    people = counts.loc[counts["kind"] == "customers", "rows"].sum()
    customers = 0 if tables.customers is None else len(tables.customers)
    made = [
        ("Customers", number(customers), f"of {number(people)} rows of people"),
        ("Linked", percent(counts["linked"].sum() / max(counts["rows"].sum(), 1)), "of all rows"),
        ("Set aside", number(counts["set_aside"].sum()), "rows, each with its reason"),
        ("Doubtful", number(len(report["doubtful"])), "clusters taken apart"),
    ]
    parts = [tiles(made), table(counts.rename(columns={"set_aside": "set aside"}))]
    aside = report["set_aside"].groupby(["source", "reason"]).size().rename("rows").reset_index()
    conflicts = report["conflicts"].assign(
        what=lambda rows: rows["what"].where(rows["table"] == "customers", "same contact or consent")
    )
    differ = conflicts.groupby(["table", "what"]).size().rename("values that lost").reset_index()
    keys = report["placeholders"].groupby(["key", "reason"]).agg(values=("value", "size"), ids=("ids", "sum"))
    proposed = report["proposed"].groupby("became").size().rename("links").reset_index()
    odd = _without_counts(report["doubtful"]["reason"]).value_counts().rename_axis("reason")
    for title, frame in (
        ("Why rows were set aside", aside),
        ("Where sources differ", differ),
        ("Keys that link nobody", keys.reset_index()),
        ("Clusters taken apart", odd.rename("clusters").reset_index()),
        ("Proposed links", proposed),
    ):
        if len(frame):
            parts.append(table(frame, fold=title))
    return Fragment("".join(parts))


def _without_counts(reason: pd.Series) -> pd.Series:
    """Put reasons together that differ in a number only."""
    return reason.astype("str").str.replace(r"^\d+ ", "", regex=True).str.replace(r"; \d+ ", "; ", regex=True)
