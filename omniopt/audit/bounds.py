"""Numbers that a limit takes from the policy or, by the values of its `per` attributes, from a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit.inputs import KEY_OF, Inputs, table_of
from omniopt.audit.scope import DATE_COLUMNS, ROOTS, Rows, Unchecked, World, canonical, holds, matches

Label = tuple[str | None, ...]


def bound(
    inputs: Inputs, value: Any, per: Sequence[str], where: Any, side: str
) -> float | dict[Label, float] | None:
    """A bound as a number, or by group from a table, but for groups outside the rule's scope."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, Mapping) or set(value) != {"table", "column"}:
        raise Unchecked(f"{side}: {value!r} is not known to this check")
    frame = table_of(inputs, str(value["table"]))
    if frame is None or value["column"] not in frame:
        raise Unchecked(f"there is no column {value['column']} in a table {value['table']}")
    columns = {}
    for name in per:
        column = next((c for c in _spellings(name) if c in frame), None)
        if column is None:
            raise Unchecked(f"table {value['table']} has no column for '{name}'")
        columns[name] = frame[column]
    inside = _speaks_of(inputs.world, frame, where or {})
    keys = []
    for name, cells in columns.items():
        is_date = name.rpartition(".")[2] in DATE_COLUMNS
        keys.append(
            [
                None if canonical(v) is None else str(inputs.world.day(v)) if is_date else canonical(v)
                for v in cells[inside]
            ]
        )
    numbers = pd.to_numeric(frame[value["column"]], errors="coerce").to_numpy(dtype=float, na_value=np.nan)[
        inside
    ]
    table: dict[Label, float] = {}
    for label, number in zip(
        zip(*keys, strict=True) if per else [()] * len(numbers), numbers.tolist(), strict=True
    ):
        if label in table:
            raise Unchecked(f"table {value['table']} has two rows for {_say(per, label)}")
        if np.isnan(number):
            raise Unchecked(f"table {value['table']} has no number for {_say(per, label)}")
        table[label] = number
    return table


def _speaks_of(world: World, frame: pd.DataFrame, where: Mapping[str, Any]) -> np.ndarray:
    """Mask of a table's rows that the rule's scope does not exclude, as far as the row tells.

    A row tells an attribute by a column of its own, or by the id of what has the attribute. A column with
    several values in a cell excludes nothing: who is in the scope by one value is in the group of another.
    """
    inside = np.ones(len(frame), dtype=bool)
    for name, condition in where.items():
        root = name.partition(".")[0]
        column = next((c for c in _spellings(name) if c in frame), None)
        key = next((c for c in _spellings(root) if c in frame), None)
        if name in world.multi_valued:
            continue
        if column is not None:
            inside &= holds(world, name, frame[column], condition, None)
        elif root in KEY_OF and key is not None:
            nothing = np.full(len(frame), -1)
            known = world.ids[root].get_indexer(pd.Index([canonical(cell) for cell in frame[key]]))
            at = {n: known if n == root else nothing for n in (*ROOTS, "day")}
            inside &= matches(world, Rows(**at), {name: condition})
    return inside


def _spellings(name: str) -> list[str]:
    """The names under which a table may carry an attribute."""
    root, _, column = name.partition(".")
    return [name, column or root, KEY_OF.get(root, root)] if not column else [name, column]


def _say(per: Sequence[str], label: Label) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(per, label, strict=True)) or "the whole"


def by_group(
    bound: float | dict[Label, float] | None, labels: list[Label], none: float, side: str
) -> np.ndarray:
    """The bound of every group; a group that the table lacks cannot be checked."""
    if bound is None:
        return np.full(len(labels), none)
    if isinstance(bound, float):
        return np.full(len(labels), bound)
    missing = [label for label in labels if label not in bound]
    if missing:
        raise Unchecked(f"the table gives no {side} for {', '.join(map(str, missing[:3]))}")
    return np.array([bound[label] for label in labels], dtype=float)
