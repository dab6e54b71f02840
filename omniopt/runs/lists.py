"""Lists for execution: one CSV file per channel, with what its system needs to send, and nothing else.

A list holds no values, costs or scores. Its merge fields are the columns that the offers' templates name in
braces: ``Dear {customer.first_name}, try {offer.label}`` puts these two columns into the lists of the
channels that send it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from omniopt.errors import Faults, nearest
from omniopt.project import Project
from omniopt.runs.folders import slug
from omniopt.tables import Tables, sha256_of, write_csv

_FIELD = re.compile(r"\{(customer|offer)\.([^{}]+)\}")
COLUMNS = [
    "customer_id",
    "action_id",
    "offer_id",
    "date",
    "template",
    "fallback",
    "send_from",
    "send_to",
    "timezone",
]


def write_lists(contacts: pd.DataFrame, project: Project, folder: Path) -> dict[str, dict[str, object]]:
    """Write one list per channel; a channel without contacts gets a list with its header alone.

    Parameters
    ----------
    contacts : DataFrame
        The plan's contacts.
    project : Project
        Its customers, offers and channels.
    folder : Path
        Where the lists go; made if it is not there.

    Returns
    -------
    dict
        channel → {"file", "rows", "sha256"}, the file's name relative to `folder`.

    Raises
    ------
    BadInput
        A template names a column that does not exist.
    """
    tables = project.read(coded=True)
    fields = merge_fields(tables)
    whole = _with_details(contacts, project, fields)
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, dict[str, object]] = {}
    names: set[str] = set()
    for channel in channels(tables):
        part = whole[whole["channel"] == channel].sort_values(
            ["date", "customer_id", "action_id"], kind="stable"
        )
        used = [
            f for f in fields if part["template"].str.contains("{" + f + "}", regex=False, na=False).any()
        ]
        name = _free_name(slug(channel, "channel"), names)
        write_csv(part[COLUMNS + used].reset_index(drop=True), folder / name)
        written[channel] = {"file": name, "rows": len(part), "sha256": sha256_of(folder / name)}
    return written


def channels(tables: Tables) -> list[str]:
    """All channels of a project, in the order of their names."""
    source = tables.channels if tables.channels is not None else tables.actions
    return [] if source is None else sorted(source["channel"].astype(str).unique())


def merge_fields(tables: Tables) -> list[str]:
    """The columns that templates name, as ``customer.<column>`` or ``offer.<column>``, sorted.

    Raises
    ------
    BadInput
        A template names a column that its table does not have.
    """
    if tables.offers is None or "template" not in tables.offers:
        return []
    faults = Faults()
    fields = set()
    for row, template in enumerate(tables.offers["template"], 1):
        for of, column in _FIELD.findall(template) if isinstance(template, str) else ():
            frame = tables.customers if of == "customer" else tables.offers
            if frame is not None and column in frame:
                fields.add(f"{of}.{column}")
                continue
            file, table = tables.files.get("offers", "offers"), f"{of}s"
            hint = nearest(column, [] if frame is None else frame.columns)
            faults.add(
                f"the template names {{{of}.{column}}}, which table {table} does not have",
                file=file,
                table="offers",
                row=row,
                column="template",
                hint=hint[0].upper() + hint[1:],
            )
    faults.raise_if_any()
    return sorted(fields)


def clock(minutes: float | None) -> str | None:
    """Write minutes since midnight as a time of day.

    Examples
    --------
    >>> clock(570)
    '09:30'
    """
    return (
        None if minutes is None or pd.isna(minutes) else f"{int(minutes) // 60:02d}:{int(minutes) % 60:02d}"
    )


def _with_details(contacts: pd.DataFrame, project: Project, fields: list[str]) -> pd.DataFrame:
    """The contacts with template, send window, time zone and merge fields; empty where a project has none."""
    tables = project.read(coded=True)
    whole = contacts[["customer_id", "action_id", "offer_id", "channel", "date", "fallback"]].copy()
    whole["template"] = _look_up(whole["offer_id"], tables.offers, "offer_id", "template")
    whole["timezone"] = _look_up(whole["customer_id"], tables.customers, "customer_id", "timezone")
    for side in ("send_from", "send_to"):
        minutes = _look_up(whole["channel"], tables.channels, "channel", side)
        whole[side] = pd.Series([clock(m) for m in minutes], index=whole.index, dtype="str")
    for field in fields:
        of, column = field.split(".", 1)
        source = tables.customers if of == "customer" else tables.offers
        whole[field] = _look_up(whole[f"{of}_id"], source, f"{of}_id", column)
        if column in ("valid_from", "valid_to"):  # tables hold these as day numbers
            whole[field] = project.date_of(whole[field].astype("Int64"))
    return whole


def _look_up(keys: pd.Series, table: pd.DataFrame | None, key: str, column: str) -> pd.Series:
    if table is None or column not in table:
        return pd.Series(np.nan, index=keys.index, dtype="str")
    return keys.map(table.set_index(key)[column])


def _free_name(name: str, taken: set[str]) -> str:
    """A file name that no other channel has, also where file names know no upper and lower case."""
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{name}-{number}"
    taken.add(free.casefold())
    return f"{free}.csv"
