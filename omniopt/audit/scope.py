"""Which rows a rule speaks of: attributes, ``where``, ``per``, and measures written as linear expressions.

A rule speaks of three kinds of rows: candidates on their own channel, candidates on their fallback channel,
and contacts of the past. All three are five arrays of positions into the tables of ids (`Rows`), so that
every condition is decided once per customer, offer, channel or action and then only looked up.
"""

from __future__ import annotations

import ast
import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from omniopt.audit.arrays import expand, numbered

ROOTS = ("customer", "offer", "channel", "action")
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
# No day lies further from the horizon.
DAYS = 10**7
DATES = ("date", "action.date")
DATE_COLUMNS = ("date", "valid_from", "valid_to")


class Unchecked(Exception):
    """Something in the policy that this check cannot read, and therefore cannot vouch for."""


@dataclass
class World:
    """The tables as the rules see them, addressed by position.

    Attributes
    ----------
    ids : dict of str to pandas.Index
        For customer, offer, channel and action: every id that occurs anywhere, as text.
    frames : dict of str to pandas.DataFrame
        The attributes of each, in the order of `ids`; what the tables do not say is missing.
    multi_valued : dict of str to str
        Separator of the columns that hold several values in a cell, such as ``action.products``.
    start : datetime.date or None
        The horizon's first day, day number 1; None where the project counts days only.
    days : int or None
        Length of the horizon.
    known : dict
        What was already worked out once for all rows: where conditions hold, and labels.
    """

    ids: dict[str, pd.Index]
    frames: dict[str, pd.DataFrame]
    multi_valued: dict[str, str] = field(default_factory=dict)
    start: datetime.date | None = None
    days: int | None = None
    known: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)

    def day(self, value: Any) -> int:
        """Day number of a date written in the policy, the certificate or a table."""
        if isinstance(value, str):
            value = value.strip()
            try:
                whole = value.lstrip("-").isdigit()
                value = int(value) if whole else datetime.date.fromisoformat(value[:10])
            except ValueError:
                raise Unchecked(f"{value!r} is not a date") from None
        if isinstance(value, datetime.datetime):
            value = value.date()
        if isinstance(value, datetime.date):
            if self.start is None:
                raise Unchecked(f"{value} is a date, but the project has no horizon to count from")
            return (value - self.start).days + 1
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not number or not -DAYS < value < DAYS:
            raise Unchecked(f"{value!r} is not a date")
        return int(value)

    def inside(self) -> tuple[int, int]:
        """First and last day of the horizon, or of the actions where there is none."""
        if self.days is not None:
            return 1, self.days
        dates = (
            self.frames["action"].get("date", pd.Series([], dtype=float)).dropna().to_numpy(dtype=np.int64)
        )
        return (int(dates.min()), int(dates.max())) if len(dates) else (1, 1)

    def period(self, day: np.ndarray, every: str) -> np.ndarray:
        """The calendar week (from Monday) or month in which days lie, numbered one after the other."""
        if self.start is None:
            raise Unchecked(f"every {every} needs a horizon that begins on a date")
        if every == "week":
            return (day - 1 + self.start.weekday()) // 7
        return (np.datetime64(self.start) + (day - 1)).astype("datetime64[M]").astype(np.int64)

    def date(self, day: int) -> str:
        """A day number in words: the date, or the number where the project has no calendar."""
        return f"day {day}" if self.start is None else str(self.start + datetime.timedelta(days=int(day) - 1))


@dataclass
class Rows:
    """Contacts as positions of customer, offer, channel and action (-1 where unknown), and days."""

    customer: np.ndarray
    offer: np.ndarray
    channel: np.ndarray
    action: np.ndarray
    day: np.ndarray

    def __len__(self) -> int:
        return len(self.customer)

    def take(self, index: np.ndarray) -> Rows:
        """The rows at these positions (or under this mask)."""
        return Rows(*(getattr(self, name)[index] for name in (*ROOTS, "day")))


def concat(parts: Sequence[Rows]) -> Rows:
    """Several lots of rows, one after the other."""
    return Rows(*(np.concatenate([getattr(part, n) for part in parts]) for n in (*ROOTS, "day")))


def canonical(value: Any) -> str | None:
    """A value as the text by which ids, groups and table keys are compared: 7, 7.0 and "7" are one."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()[:10]
    return str(value)


def attribute(world: World, rows: Rows, name: str) -> tuple[pd.Series, np.ndarray, str | None]:
    """The values an attribute can take, each row's position among them, and the separator if multi-valued.

    Raises
    ------
    Unchecked
        If no table has such a column.
    """
    root, _, column = name.partition(".")
    if name in DATES:
        low, high = (int(rows.day.min()), int(rows.day.max())) if len(rows) else (1, 1)
        return pd.Series(np.arange(low, high + 1)), rows.day - low, None
    if root not in ROOTS:
        raise Unchecked(f"'{name}' is not an attribute")
    position = getattr(rows, root)
    if column in ("", f"{root}_id") or name == "channel.channel":
        return pd.Series(world.ids[root]), position, world.multi_valued.get(name)
    if column not in world.frames[root].columns:
        raise Unchecked(f"no table has the attribute '{name}'")
    return world.frames[root][column], position, world.multi_valued.get(name)


def matches(world: World, rows: Rows, where: Mapping[str, Any] | None) -> np.ndarray:
    """Mask of the rows for which every entry of `where` holds; an unknown value never matches."""
    mask = np.ones(len(rows), dtype=bool)
    if where is None:
        return mask
    if not isinstance(where, Mapping):
        raise Unchecked(f"a scope must be a mapping of attributes, not {where!r}")
    for name, condition in where.items():
        values, position, separator = attribute(world, rows, str(name))
        mask &= once(
            world,
            ("holds", str(name), repr(condition)),
            lambda: np.append(holds(world, str(name), values, condition, separator), False),  # noqa: B023
        )[position]
    return mask


def once(world: World, key: tuple[str, ...], work_out: Callable[[], Any]) -> Any:
    """A thing about an attribute (the key's second part) that is worked out once for all rows and kept.

    Not so for dates, which are those of the rows at hand.
    """
    if key[1] in DATES:
        return work_out()
    if key not in world.known:
        world.known[key] = work_out()
    return world.known[key]


def holds(world: World, name: str, values: pd.Series, condition: Any, separator: str | None) -> np.ndarray:
    """For each value of an attribute, whether the condition holds."""
    if isinstance(condition, Mapping):
        mask = np.ones(len(values), dtype=bool)
        for operator, operand in condition.items():
            mask &= _compare(world, name, values, str(operator), operand, separator)
        return mask
    operator = "in" if isinstance(condition, list | tuple) else "eq"
    return _compare(world, name, values, operator, condition, separator)


def _compare(
    world: World, name: str, values: pd.Series, operator: str, operand: Any, separator: str | None
) -> np.ndarray:
    missing = values.isna().to_numpy(dtype=bool)
    if operator == "is_null":
        if not isinstance(operand, bool):
            raise Unchecked(f"is_null must be true or false, not {operand!r}")
        return missing if operand else ~missing
    if operator in ("in", "not_in", "eq", "ne"):
        wanted = operand if operator in ("in", "not_in") else [operand]
        if not isinstance(wanted, list | tuple) or any(isinstance(w, Mapping | list | tuple) for w in wanted):
            raise Unchecked(f"'{name}: {operand!r}' cannot be compared")
        hit = _is_any_of(world, name, values, list(wanted), separator)
        # A missing value is neither equal nor unequal to anything; only is_null speaks of it.
        return hit & ~missing if operator in ("in", "eq") else ~hit & ~missing
    if operator not in COMPARISONS:
        raise Unchecked(f"'{operator}' is not a comparison")
    left: Any
    right: Any
    if name.rpartition(".")[2] in DATE_COLUMNS:
        left, right = pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan), float(world.day(operand))
    elif pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        left, right = values.to_numpy(dtype=float, na_value=np.nan), _number(operand, name)
    else:
        left, right = np.array([canonical(v) or "" for v in values], dtype=object), str(canonical(operand))
    with np.errstate(invalid="ignore"):
        return np.asarray(COMPARISONS[operator](left, right), dtype=bool) & ~missing


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Unchecked(f"{value!r} is not a number to compare '{name}' with") from None


def _is_any_of(
    world: World, name: str, values: pd.Series, wanted: list[Any], separator: str | None
) -> np.ndarray:
    if name.rpartition(".")[2] in DATE_COLUMNS:
        keys = {str(world.day(w)) for w in wanted}
    else:
        keys = {key for key in map(canonical, wanted) if key is not None}
    codes, unique = pd.factorize(values, use_na_sentinel=True)
    if separator:
        hit = [not keys.isdisjoint(cell(u, separator)) for u in unique]
    else:
        hit = [canonical(u) in keys for u in unique]
    return np.append(np.array(hit, dtype=bool), False)[codes]


def cell(value: Any, separator: str) -> list[str]:
    """The values in a cell of a multi-valued column."""
    return [part.strip() for part in str(canonical(value)).split(separator) if part.strip()]


def groups(
    world: World, rows: Rows, per: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[tuple[str | None, ...]]]:
    """Split rows by the values of the `per` attributes.

    A row whose cell holds several values counts in each of them; one whose id is unknown counts in none.

    Returns
    -------
    index : ndarray
        Positions of rows; a row of several values occurs several times.
    code : ndarray
        For each of them, the group.
    labels : list of tuple
        For each group, its values as text (dates as day numbers).
    """
    index, code = np.arange(len(rows)), np.zeros(len(rows), dtype=np.int64)
    levels: list[list[str | None]] = []
    for name in per:
        values, position, separator = attribute(world, rows, name)
        start, flat, names = once(world, ("labels", name), lambda: _labels(values, separator))  # noqa: B023
        position = position[index]
        if len(position) and position.min() < 0:
            index, code, position = index[position >= 0], code[position >= 0], position[position >= 0]
        code = code * len(names)
        if separator:
            at, of = expand(start[position], start[position + 1])
            index, code = index[of], code[of] + flat[at]
        else:
            code += flat[position]
        levels.append(names)
    unique, code = numbered(code, math.prod(map(len, levels)))
    labels = []
    for number in unique.tolist():
        label = []
        for names in reversed(levels):
            number, value_at = divmod(number, len(names))
            label.append(names[value_at])
        labels.append(tuple(reversed(label)))
    return index, code, labels


def _labels(values: pd.Series, separator: str | None) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
    """The labels of each value: a start per value, positions of labels, and the labels."""
    codes, unique = pd.factorize(values, use_na_sentinel=True)
    # One entry per distinct value, and at the end (code -1) one for a missing value, which is a group of its
    # own rather than a way out of the rule. An empty cell of a multi-valued column holds no value at all.
    parts: list[list[str | None]]
    if separator:
        parts = [list(dict.fromkeys(cell(u, separator))) for u in unique]
        parts.append([])
    else:
        parts = [[canonical(u)] for u in unique]
        parts.append([None])
    names: list[str | None] = list(dict.fromkeys(label for part in parts for label in part)) or [None]
    where = {label: at for at, label in enumerate(names)}
    size = np.array([len(part) for part in parts], dtype=np.int64)
    known = np.array([where[label] for part in parts for label in part], dtype=np.int64)
    stop = np.cumsum(size)
    at, _ = expand((stop - size)[codes], stop[codes])
    return np.append(0, np.cumsum(size[codes])).astype(np.int64), known[at], names


def known_keys(rule: Mapping[str, Any], keys: set[str], kind: str) -> None:
    """Unchecked if a rule has a key that this check does not know."""
    strange = sorted(set(rule) - keys, key=str)
    if strange:
        raise Unchecked(f"{kind} with {', '.join(map(repr, strange))} are not known to this check")


def split_by(rule: Mapping[str, Any]) -> list[str]:
    """The attributes of a rule's `per`, of which it may name one or list several."""
    per = rule.get("per") or []
    names = [per] if isinstance(per, str) else per
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Unchecked(f"per: {per!r} is no list of attributes")
    return names


def whole(value: Any, name: str, least: int = 1) -> int:
    """A whole number of the policy."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise Unchecked(f"{name}: {value!r} is not a whole number from {least} on")
    return value


def flag(rule: Mapping[str, Any], key: str, default: bool = False) -> bool:
    """A key of a rule that is true or false."""
    value = rule.get(key, default)
    if not isinstance(value, bool):
        raise Unchecked(f"{key}: {value!r} is neither true nor false")
    return value


def linear(text: Any) -> dict[str, float]:
    """Coefficients of a linear expression of measures: ``value - 0.5 * cost`` → ``{value: 1, cost: -0.5}``.

    The text is parsed, never evaluated.

    Raises
    ------
    Unchecked
        If it is anything but sums, differences and multiples of names.
    """
    if not isinstance(text, str):
        raise Unchecked(f"{text!r} is not a measure")
    try:
        terms = _terms(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError, ZeroDivisionError, TypeError):
        raise Unchecked(f"{text!r} is not a linear expression of measures") from None
    if terms.pop("", 0.0):
        raise Unchecked(f"{text!r} contains a constant that belongs to no contact")
    return terms


def _terms(node: ast.expr) -> dict[str, float]:
    """Coefficients by name; the constant under the empty name."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return {"": float(node.value)}  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        return {node.id: 1.0}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
        return {name: sign * value for name, value in _terms(node.operand).items()}
    if not isinstance(node, ast.BinOp):
        raise ValueError
    left, right = _terms(node.left), _terms(node.right)
    if isinstance(node.op, ast.Add | ast.Sub):
        sign = -1.0 if isinstance(node.op, ast.Sub) else 1.0
        return {n: left.get(n, 0.0) + sign * right.get(n, 0.0) for n in {**left, **right}}
    if isinstance(node.op, ast.Mult) and (set(left) == {""} or set(right) == {""}):
        factor, terms = (left[""], right) if set(left) == {""} else (right[""], left)
        return {name: factor * value for name, value in terms.items()}
    if isinstance(node.op, ast.Div) and set(right) == {""}:
        return {name: value / right[""] for name, value in left.items()}
    raise ValueError
