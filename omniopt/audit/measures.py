"""Measures: a number per candidate, or per contact of the past, that adds up; and sums of them by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit.arrays import exact_sums
from omniopt.audit.bounds import Label
from omniopt.audit.candidates import Candidates
from omniopt.audit.inputs import Inputs
from omniopt.audit.scope import Rows, Unchecked, World, groups, linear, matches

# The sum of the fixed costs of all opened cells: a number of the whole plan, not of a contact.
FIXED = "fixed_cost"


@dataclass
class Usage:
    """What candidates use: ``amount`` of candidate ``index`` in bin ``code``; both may occur repeatedly."""

    index: np.ndarray
    code: np.ndarray
    amount: np.ndarray

    def totals(self, chosen: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Sum and sum of absolute values per bin, over the chosen candidates (a mask)."""
        held = chosen[self.index]
        code, amount = self.code[held], self.amount[held]
        return exact_sums(code, amount, size), np.bincount(code, np.abs(amount), size)


def fixed_share(expression: Any) -> float:
    """The coefficient of the plan's fixed costs in an expression."""
    return linear(expression).get(FIXED, 0.0)


def _numbers(world: World, root: str, name: str) -> np.ndarray | None:
    """A column of numbers, with a missing one at the end for what is unknown."""
    column = world.frames[root].get(name)
    if column is None or not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return None
    return np.append(column.to_numpy(dtype=float, na_value=np.nan), np.nan)


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
    if name == FIXED:
        return np.zeros(len(rows)), None
    per_channel = None
    if name in candidates.own:
        values = candidates.own[name]
    else:
        for root, position in (("action", rows.action), ("channel", rows.channel), ("offer", rows.offer)):
            numbers = _numbers(world, root, name)
            if numbers is not None:
                values = numbers[position]
                per_channel = numbers[:-1] if root == "channel" else None
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


def usage(
    world: World, candidates: Candidates, expression: Any, where: Any, per: Sequence[str], both: bool
) -> tuple[list[Usage], list[list[Label]]]:
    """What each leg of the candidates in scope uses, and the labels of its groups.

    With `both` the second leg counts on its own channel, else with the first.
    """
    first_amount, second, second_amount = _amounts(world, candidates, expression, both)
    legs = [(np.arange(len(candidates)), first_amount, candidates.rows)]
    if both:
        legs.append((second, second_amount, candidates.second_leg()[1]))
    uses, labels = [], []
    for index, amount, rows in legs:
        scope = np.flatnonzero(matches(world, rows, where))
        inside = rows if len(scope) == len(rows) else rows.take(scope)
        place, code, names = groups(world, inside, per)
        uses.append(Usage(index[scope[place]], code, amount[scope[place]]))
        labels.append(names)
    return uses, labels


def joined(parts: Sequence[tuple[list[Usage], list[list[Label]]]], number: dict[Label, int]) -> list[Usage]:
    """One numbering of groups for all legs of numerator and denominator; `number` grows by new groups."""
    result = []
    for uses, labels in parts:
        codes = []
        for use, names in zip(uses, labels, strict=True):
            known = np.array([number.setdefault(name, len(number)) for name in names], dtype=np.int64)
            codes.append(known[use.code] if len(known) else use.code)
        result.append(
            Usage(
                np.concatenate([use.index for use in uses]),
                np.concatenate(codes),
                np.concatenate([use.amount for use in uses]),
            )
        )
    return result


def past_usage(
    inputs: Inputs, past: Rows, at: np.ndarray, expression: Any, where: Any, per: Sequence[str]
) -> tuple[Usage, list[Label]]:
    """What past contacts in scope used, by group; an amount that no table gives is NaN.

    Parameters
    ----------
    past : Rows
        The contacts of the past that count.
    at : ndarray of int
        Their rows in the table.
    """
    world, history = inputs.world, inputs.tables.history
    scope = np.flatnonzero(matches(world, past, where))
    place, code, names = groups(world, past.take(scope), per)
    index = scope[place]
    amount = np.zeros(len(index))
    for name, coefficient in linear(expression).items():
        values = np.ones(len(past)) if name == "contacts" else np.full(len(past), np.nan)
        column = None if history is None or name == "value" else history.get(name)
        if column is not None and pd.api.types.is_numeric_dtype(column):
            values = column.to_numpy(dtype=float, na_value=np.nan)[at]
        elif name != "contacts":
            for root, position in (("action", past.action), ("channel", past.channel), ("offer", past.offer)):
                numbers = _numbers(world, root, name)
                if numbers is not None:
                    values = np.where(np.isnan(values), numbers[position], values)
        amount += coefficient * values[index]
    return Usage(index, code, amount), names
