"""What people change of a project: keys of its rules, and contacts they rule out or insist on."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from omniopt.errors import Faults, nearest
from omniopt.tables import read_table


def changed(rule: Any, changes: Mapping[str, dict[str, Any]]) -> Any:
    """Apply the changes of the rule's name; a key changed to None is left out."""
    mine = changes.get(str(rule.get("name"))) if isinstance(rule, Mapping) else None
    if not mine:
        return rule
    return {key: value for key, value in {**rule, **mine}.items() if key not in mine or value is not None}


def contact_rows(frame: pd.DataFrame | None, table: str, faults: Faults) -> list[list[str]]:
    """Read contacts that people named: customer_id, action_id and the reason, empty if there is none."""
    if frame is None or not len(frame):
        return []
    missing = [column for column in ("customer_id", "action_id") if column not in frame]
    for column in missing:
        faults.add(
            "the column is missing", table=table, column=column, hint=nearest(column, map(str, frame.columns))
        )
    if missing:
        return []
    wanted = frame[[column for column in ("customer_id", "action_id", "reason") if column in frame]]
    read = read_table(wanted, table, faults, text=("reason",))
    for column in ("customer_id", "action_id"):
        for row in np.flatnonzero(read[column].isna()):
            faults.add(
                "the cell is empty", table=table, row=int(row) + 1, column=column, hint="Write a value"
            )
    reasons = read["reason"].fillna("") if "reason" in read else pd.Series([""] * len(read))
    return [list(row) for row in zip(read["customer_id"], read["action_id"], reasons, strict=True)]


def plain(value: Any) -> Any:
    """Turn numpy scalars and dates into what JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return value.isoformat() if isinstance(value, datetime.date) else value
