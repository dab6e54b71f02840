"""Limits across customers: a row for every combination of `per` values, its bounds, and who uses what.

A limit is ``lo ≤ Σ measure ≤ hi`` over the chosen candidates in its scope, a ratio limit ``Σ measure − r·Σ
over ≥ 0`` (or ``≤ 0``), one row per side. A candidate with a fallback channel has a second leg: with the
share 1 − d it becomes a contact on that channel and uses its resources. A limit that names a channel sees
both legs, each on its own channel; one that names none counts the contact once, and the resources of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit.candidates import Candidates
from omniopt.audit.inputs import KEY_OF, Inputs, table_of
from omniopt.audit.scope import Rows, Unchecked, World, canonical, groups, holds, linear, matches

KEYS = {"name", "measure", "where", "per", "min", "max", "over"}
Label = tuple[str | None, ...]


@dataclass
class Usage:
    """What candidates use: ``amount`` of candidate ``index`` in group ``code``; both may occur repeatedly."""

    index: np.ndarray
    code: np.ndarray
    amount: np.ndarray


@dataclass
class Limit:
    """One limit of the policy with all its rows.

    Attributes
    ----------
    name : str
    per : list of str
        The attributes that split it.
    labels : list of tuple
        Their values, one tuple per row.
    low, high : ndarray of float
        The bounds per row (ratios for a ratio limit); infinite where there is none.
    use : Usage
        The measure.
    over : Usage or None
        The denominator of a ratio limit.
    """

    name: str
    per: list[str]
    labels: list[Label]
    low: np.ndarray
    high: np.ndarray
    use: Usage
    over: Usage | None = None

    def totals(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sum of the measure and sum of its absolute values per row, over the chosen candidates (a mask)."""
        return _totals(self.use, chosen, len(self.labels))

    def over_totals(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same for the denominator."""
        assert self.over is not None
        return _totals(self.over, chosen, len(self.labels))


def _totals(use: Usage, chosen: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    held = chosen[use.index]
    code, amount = use.code[held], use.amount[held]
    return np.bincount(code, amount, size), np.bincount(code, np.abs(amount), size)


def measure(world: World, candidates: Candidates, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """A measure of each candidate on its own channel, and of every channel if it is a channel's.

    Raises
    ------
    Unchecked
        If no table has such a column of numbers, or a number is missing that a candidate needs.
    """
    rows = candidates.rows
    if name == "contacts":
        return np.ones(len(rows)), np.ones(len(world.ids["channel"]))
    if name == "fixed_cost":
        return np.zeros(len(rows)), None  # only limits of a kind not read here could open a cell that costs
    per_channel = None
    if name in candidates.own:
        values = candidates.own[name]
    else:
        for root, position in (("action", rows.action), ("channel", rows.channel), ("offer", rows.offer)):
            column = world.frames[root].get(name)
            if (
                column is not None
                and pd.api.types.is_numeric_dtype(column)
                and not pd.api.types.is_bool_dtype(column)
            ):
                numbers = column.to_numpy(dtype=float, na_value=np.nan)
                values = np.append(numbers, np.nan)[position]
                per_channel = numbers if root == "channel" else None
                break
        else:
            raise Unchecked(f"no table has the measure '{name}'")
    if np.isnan(values).any():
        raise Unchecked(f"the measure '{name}' is missing for {int(np.isnan(values).sum())} candidates")
    return values, per_channel


def _amounts(
    world: World, candidates: Candidates, expression: Any, both: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An expression per candidate, the candidates with a second leg, and what falls to that."""
    second, second_rows = candidates.second_leg()
    share = candidates.undelivered[second]
    first_amount, second_amount = np.zeros(len(candidates)), np.zeros(len(second))
    for name, coefficient in linear(expression).items():
        values, per_channel = measure(world, candidates, name)
        first_amount += coefficient * values
        if per_channel is not None and (both or name != "contacts"):
            load = coefficient * per_channel[second_rows.channel] * share
            if np.isnan(load).any():
                raise Unchecked(f"the measure '{name}' is missing for a fallback channel")
            second_amount += load
    if not both:
        first_amount[second] += second_amount
        second_amount[:] = 0.0
    return first_amount, second, second_amount


def values_of(world: World, candidates: Candidates, expression: Any) -> np.ndarray:
    """A linear expression of measures per candidate, the resources of its fallback channel included."""
    return _amounts(world, candidates, expression, both=False)[0]


def _usage(
    world: World, candidates: Candidates, expression: Any, where: Any, per: Sequence[str], both: bool
) -> tuple[list[Usage], list[list[Label]]]:
    """What each leg of the candidates in scope uses, and the labels of its groups."""
    first_amount, second, second_amount = _amounts(world, candidates, expression, both)
    legs = [(np.arange(len(candidates)), first_amount, candidates.rows)]
    if both:
        legs.append((second, second_amount, candidates.second_leg()[1]))
    uses, labels = [], []
    for index, amount, rows in legs:
        scope = np.flatnonzero(matches(world, rows, where))
        place, code, names = groups(world, rows.take(scope), per)
        uses.append(Usage(index[scope[place]], code, amount[scope[place]]))
        labels.append(names)
    return uses, labels


def read(inputs: Inputs, candidates: Candidates, rule: Mapping[str, Any]) -> Limit:
    """One limit of the policy, with all its rows.

    Raises
    ------
    Unchecked
        If the rule says anything this check cannot read.
    """
    strange = sorted(set(rule) - KEYS)
    if strange:
        raise Unchecked(f"limits with {', '.join(map(repr, strange))} are not known to this check")
    if "min" not in rule and "max" not in rule:
        raise Unchecked("the limit has neither min nor max")
    world = inputs.world
    per = [rule["per"]] if isinstance(rule.get("per"), str) else list(rule.get("per") or [])
    where, over = rule.get("where"), rule.get("over")
    if isinstance(over, str):
        over = {"measure": over, "where": where}
    if over is not None and (not isinstance(over, Mapping) or set(over) - {"measure", "where"}):
        raise Unchecked(f"over: {over!r} is not known to this check")
    named = [*(where or {}), *per, *((over or {}).get("where") or {})]
    both = any(str(name).partition(".")[0] == "channel" for name in named)

    parts = [_usage(world, candidates, rule.get("measure", "contacts"), where, per, both)]
    if over is not None:
        parts.append(_usage(world, candidates, over.get("measure", "contacts"), over.get("where"), per, both))
    labels, uses = _joined(parts)

    bounds = {side: _bound(inputs, rule.get(side), per, where, side) for side in ("min", "max")}
    tables = [bound for bound in bounds.values() if isinstance(bound, dict)]
    labels = list(dict.fromkeys([*labels, *(label for table in tables for label in table)]))
    if not per and not labels:
        labels = [()]
    low = _side(bounds["min"], labels, -np.inf, "min")
    high = _side(bounds["max"], labels, np.inf, "max")
    return Limit(
        str(rule.get("name")), per, labels, low, high, uses[0], uses[1] if over is not None else None
    )


def _joined(parts: Sequence[tuple[list[Usage], list[list[Label]]]]) -> tuple[list[Label], list[Usage]]:
    """One numbering of groups for all legs of numerator and denominator."""
    number: dict[Label, int] = {}
    joined = []
    for uses, labels in parts:
        codes = []
        for use, names in zip(uses, labels, strict=True):
            known = np.array([number.setdefault(name, len(number)) for name in names], dtype=np.int64)
            codes.append(known[use.code] if len(known) else use.code)
        joined.append(
            Usage(
                np.concatenate([use.index for use in uses]),
                np.concatenate(codes),
                np.concatenate([use.amount for use in uses]),
            )
        )
    return list(number), joined


def _bound(
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
        is_date = name.rpartition(".")[2] in ("date", "valid_from", "valid_to")
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
            at = {
                n: known if n == root else nothing for n in ("customer", "offer", "channel", "action", "day")
            }
            inside &= matches(world, Rows(**at), {name: condition})
    return inside


def _spellings(name: str) -> list[str]:
    """The names under which a table may carry an attribute."""
    root, _, column = name.partition(".")
    return [name, column or root, KEY_OF.get(root, root)] if not column else [name, column]


def _say(per: Sequence[str], label: Label) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(per, label, strict=True)) or "the whole"


def _side(
    bound: float | dict[Label, float] | None, labels: list[Label], none: float, side: str
) -> np.ndarray:
    if bound is None:
        return np.full(len(labels), none)
    if isinstance(bound, float):
        return np.full(len(labels), bound)
    missing = [label for label in labels if label not in bound]
    if missing:
        raise Unchecked(f"the table gives no {side} for {', '.join(map(str, missing[:3]))}")
    return np.array([bound[label] for label in labels], dtype=float)


def objective(objective: Any) -> tuple[float, Any]:
    """Sign (1 where the objective is maximised) and expression of the policy's objective."""
    if isinstance(objective, str):
        return 1.0, objective
    if isinstance(objective, Mapping) and len(objective) == 1:
        ((sense, expression),) = objective.items()
        if sense in ("maximise", "minimise"):
            return (1.0 if sense == "maximise" else -1.0), expression
    raise Unchecked(f"the objective {objective!r} is not known to this check")
