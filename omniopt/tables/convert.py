"""How cells are read: from Arrow columns of any type to the few types the rest of the package knows."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from omniopt.errors import Faults, nearest
from omniopt.tables.contract import ARMS, LARGEST, OUTCOMES

#: So many cells of one column are named before the rest is only counted.
CELL_LIMIT = 20
#: Day numbers beyond this are dates written without hyphens, or slips.
_DAY_LIMIT = 100_000

_DATE = r"(\d{4}-\d\d-\d\d)([T ].*)?"
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_NOT_FINITE = r"(?i)^\s*[+-]?(nan|inf|infinity)\s*$"
#: Digits that are a name rather than a quantity: leading zeros, or more digits than a number keeps.
_CODE = r"^\s*(0\d+|\d{16,})\s*$"
#: How programs write a cell that is missing.
_MISSING = r"^\s*(nan|NaN|NAN|<NA>|NaT)\s*$"
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def shortened(text: str, limit: int = 160) -> str:
    """Cut a text that quotes a cell, which may be of any length."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True)
class Place:
    """The column being read, and where its faults go."""

    faults: Faults
    file: str | None
    table: str
    column: str

    def bad(self, rows: np.ndarray, message: Callable[[int], str], hint: str | None = None) -> None:
        """Add a fault for each row (positions from 0), and count those beyond the limit."""
        for row in rows[:CELL_LIMIT]:
            self.say(message(int(row)), hint, int(row) + 1)
        if len(rows) > CELL_LIMIT:
            self.say(f"and {len(rows) - CELL_LIMIT} more rows")

    def too_large(self, values: pd.Series) -> None:
        """Add a fault for each quantity beyond what can be added up exactly."""
        rows = np.flatnonzero((values.abs() > LARGEST) & np.isfinite(values))
        hint = f"Write it in a larger unit, below {LARGEST:g}"
        self.bad(rows, lambda row: f"{values[row]:g} is too large to be added up", hint)

    def say(self, message: str, hint: str | None = None, row: int | None = None) -> None:
        """Add one fault of this column."""
        self.faults.add(
            shortened(message), file=self.file, table=self.table, row=row, column=self.column, hint=hint
        )


@dataclass(frozen=True)
class Days:
    """The horizon by which dates become day numbers; without a start, only day numbers are legal."""

    start: datetime.date | None = None
    days: int | None = None

    def number(self, text: str) -> int:
        """Read a date or a day number; the horizon's first day is 1.

        Raises
        ------
        ValueError
            When the text is neither; the message says what is wrong with it.
        """
        text = text.strip()
        if re.fullmatch(r"[+-]?\d{1,9}", text):
            if abs(int(text)) <= _DAY_LIMIT:
                return int(text)
        elif self.start and (match := re.fullmatch(_DATE, text)):
            try:
                return (datetime.date.fromisoformat(match[1]) - self.start).days + 1
            except ValueError:
                raise ValueError(f"there is no day '{match[1]}'") from None
        raise ValueError(f"'{text}' is neither a date nor a day number")


def column_values(column: pa.ChunkedArray, kind: str, place: Place, days: Days) -> pd.Series:
    """Read a column by its kind.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        The cells as they came.
    kind : str
        One of the kinds of `omniopt.tables.contract.Column`, or ``free`` for an attribute.
    place : Place
        Receives what is wrong.
    days : Days
        The horizon.

    Returns
    -------
    pandas.Series
        ``str`` for id, text, timezone, outcome and arm; ``float64`` for number, probability, chance and
        change; ``bool`` or ``boolean`` for bool; ``int32`` or ``Int32`` for date, time and days. Empty cells
        are missing values.
    """
    try:
        column = _known_type(column)
    except (pa.ArrowException, TypeError):
        place.say(
            f"cells of type {column.type} cannot be read", "Keep text, numbers, dates, or true and false"
        )
        return pd.Series(np.full(len(column), np.nan))
    match kind:
        case "number":
            return _numbers(column, place)
        case "probability":
            return _between(column, 0, "no probability", place)
        case "chance":
            return _above_0(_between(column, 0, "no probability", place), place)
        case "change":
            return _between(column, -1, "no change of a probability", place)
        case "bool":
            return _booleans(column, place)
        case "date":
            return _dates(column, place, days)
        case "time":
            return _by_value(column, minutes, place, "Write it as 08:30")
        case "days":
            return _by_value(column, weekdays, place, "Write it as mon-fri, or as mon;wed;sat")
        case "timezone":
            return _checked_text(column, _zones(), "no IANA time zone", place)
        case "outcome":
            return _checked_text(column, OUTCOMES, "no outcome", place)
        case "arm":
            return _checked_text(column, ARMS, "no arm of an experiment", place)
        case "free":
            return _attribute(column, place)
    return _ids(column, place)


def id_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write ids of any legal type as text, large_string; what cannot be read raises what Arrow raises."""
    return _text(_known_type(column))


def minutes(text: str) -> int:
    """Read a time of day as minutes since midnight; ``24:00`` is the end of the day."""
    match = re.fullmatch(r"(\d{1,2}):([0-5]\d)(:00(\.0+)?)?", text.strip())
    if not match or (value := 60 * int(match[1]) + int(match[2])) > 24 * 60:
        raise ValueError(f"'{text}' is no time of day")
    return value


def weekdays(text: str) -> int:
    """Read days of the week, such as ``mon-fri`` or ``mon;wed``, as bits: Monday is 1, Sunday 64."""
    bits = 0
    for part in re.split(r"[;,\s]+", re.sub(r"\s*-\s*", "-", text.strip().lower())):
        ends = [_weekday(word, text) for word in part.split("-")]
        if len(ends) > 2:
            raise ValueError(f"'{text}' names no days of the week")
        span = (ends[-1] - ends[0]) % 7
        bits |= sum(1 << ((ends[0] + step) % 7) for step in range(span + 1))
    return bits


def _weekday(word: str, text: str) -> int:
    full = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    for number, name in enumerate(full):
        if len(word) >= 3 and name.startswith(word):
            return number
    raise ValueError(f"'{text}' names no days of the week")


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def is_empty(column: pa.ChunkedArray) -> np.ndarray:
    """Tell which cells came empty; empty text is an empty cell."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pc.fill_null(pc.equal(column, ""), True).to_numpy(zero_copy_only=False)
    return column.is_null().to_numpy(zero_copy_only=False)


# ---- Arrow to Arrow


def _known_type(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bring a column to large_string, float64, an integer type or bool; empty text becomes a missing cell."""
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return column
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_decimal(kind):
        # As text, a long number that is an id keeps all its digits.
        return pc.replace_substring_regex(column.cast(pa.string()), r"\.0*$", "").cast(pa.large_string())
    if pa.types.is_timestamp(kind):
        return _timestamps(column)
    if pa.types.is_date(kind):
        return column.cast(pa.date32()).cast(pa.large_string())
    if pa.types.is_time(kind):
        return column.cast(pa.time32("s"), safe=False).cast(pa.large_string())
    text_types = (pa.string(), pa.large_string(), pa.null())
    if kind not in text_types:
        raise TypeError(str(kind))
    text = column.cast(pa.large_string())
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)


def _timestamps(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write timestamps as text: as dates if all are midnight, in the zone they carry."""
    if column.type.tz:
        column = pc.local_timestamp(column)
    day = pc.floor_temporal(column, unit="day")
    if pc.all(pc.equal(column, day)).as_py() in (True, None):
        return column.cast(pa.date32(), safe=False).cast(pa.large_string())
    return pc.strftime(column.cast(pa.timestamp("s"), safe=False), format="%Y-%m-%d %H:%M:%S").cast(
        pa.large_string()
    )


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write cells as text: 7 and 7.0 as 7, booleans as true and false."""
    if pa.types.is_floating(column.type):
        whole = pc.and_(pc.is_finite(column), pc.equal(column, pc.floor(column)))
        whole = pc.fill_null(pc.and_(whole, pc.less(pc.abs(column), 2.0**63)), False)
        as_int = (
            pc.if_else(whole, column, pa.scalar(None, pa.float64())).cast(pa.int64()).cast(pa.large_string())
        )
        return pc.if_else(whole, as_int, column.cast(pa.large_string()))
    return column.cast(pa.large_string())


def _mask(condition: pa.ChunkedArray) -> np.ndarray:
    """Turn an Arrow condition into positions-aligned booleans; a missing cell is False."""
    return pc.fill_null(condition, False).to_numpy(zero_copy_only=False)


# ---- Arrow to pandas


def _series(text: pa.ChunkedArray) -> pd.Series:
    return pd.Series(pd.array(text, dtype="str"))


def _ids(column: pa.ChunkedArray, place: Place) -> pd.Series:
    text = _text(column)
    wrong = _mask(pc.match_substring_regex(text, _MISSING))
    place.bad(
        np.flatnonzero(wrong),
        lambda row: f"the cell says '{text[row]}'",
        "Write a value or leave the cell empty",
    )
    return _series(text)


def _numbers(column: pa.ChunkedArray, place: Place) -> pd.Series:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.large_string())
    if not pa.types.is_large_string(column.type):
        values = column.cast(pa.float64(), safe=False)
    else:
        legal = pc.or_(
            pc.match_substring_regex(column, _NUMBER), pc.match_substring_regex(column, _NOT_FINITE)
        )
        odd = np.flatnonzero(_mask(pc.invert(legal)))
        place.bad(
            odd, lambda row: f"'{column[row]}' is not a number", "Write a number, with a point for decimals"
        )
        trimmed = pc.utf8_ltrim(pc.utf8_trim_whitespace(column), characters="+")
        values = pc.if_else(legal, trimmed, pa.scalar(None, pa.large_string())).cast(pa.float64())
    infinite = np.flatnonzero(_mask(pc.invert(pc.is_finite(values))))
    place.bad(
        infinite,
        lambda row: f"{column[row]} is not a finite number",
        "Write a number or leave the cell empty",
    )
    return pd.Series(values.to_numpy(zero_copy_only=False))


def _between(column: pa.ChunkedArray, low: int, what: str, place: Place) -> pd.Series:
    """Read numbers from `low` to 1."""
    values = _numbers(column, place)
    outside = np.flatnonzero(((values < low) | (values > 1)) & np.isfinite(values))
    place.bad(outside, lambda row: f"{values[row]:g} is {what}", f"Write a number from {low} to 1")
    return values


def _above_0(values: pd.Series, place: Place) -> pd.Series:
    never = np.flatnonzero(values == 0)
    place.bad(never, lambda row: "0 is no chance: nobody was drawn by it", "Write a number above 0, up to 1")
    return values


def _booleans(column: pa.ChunkedArray, place: Place) -> pd.Series:
    text = pc.utf8_lower(pc.utf8_trim_whitespace(_text(column)))
    true, false = (pc.is_in(text, pa.array(words, pa.large_string())) for words in (_TRUE, _FALSE))
    odd = np.flatnonzero(_mask(pc.and_(pc.is_valid(text), pc.invert(pc.or_(true, false)))))
    place.bad(odd, lambda row: f"'{column[row]}' is neither true nor false", "Write true or false")
    return _boolean_series(_mask(true), _mask(pc.is_null(text)))


def _boolean_series(true: np.ndarray, missing: np.ndarray) -> pd.Series:
    return pd.Series(pd.arrays.BooleanArray(true, missing)) if missing.any() else pd.Series(true)


def _dates(column: pa.ChunkedArray, place: Place, days: Days) -> pd.Series:
    text = _text(column)
    if days.start is None and _mask(pc.match_substring_regex(text, rf"^\s*{_DATE}$")).any():
        hint = "Give the project file a horizon with its start and days, or write day numbers"
        place.say("the cells are dates, but the project has no horizon to count days from", hint)
        return pd.Series(pd.arrays.IntegerArray(np.zeros(len(text), np.int32), np.ones(len(text), bool)))
    return _by_value(text, days.number, place, "Write it as 2026-11-23, or as a day number")


def _by_value(column: pa.ChunkedArray, read: Callable[[str], int], place: Place, hint: str) -> pd.Series:
    """Read each distinct text once; what cannot be read is a fault in each of its rows."""
    encoded = _text(column).combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    words = encoded.dictionary.to_pylist()
    values, wrong = np.zeros(len(words) + 1, np.int32), {}
    for code, word in enumerate(words):
        try:
            values[code] = read(word)
        except ValueError as error:
            wrong[code] = str(error)
    if wrong:
        place.bad(np.flatnonzero(np.isin(codes, list(wrong))), lambda row: wrong[codes[row]], hint)
    missing = np.isin(codes, [-1, *wrong])
    numbers = values[codes]
    return pd.Series(pd.arrays.IntegerArray(numbers, missing) if missing.any() else numbers)


def _checked_text(
    column: pa.ChunkedArray, legal: frozenset[str] | tuple[str, ...], what: str, place: Place
) -> pd.Series:
    text = _text(column)
    wrong = {word for word in text.unique().to_pylist() if word is not None and word not in legal}
    if wrong:
        rows = np.flatnonzero(_mask(pc.is_in(text, pa.array(sorted(wrong), pa.large_string()))))
        first = {str(text[int(row)]): int(row) for row in reversed(rows)}
        for word, row in sorted(first.items(), key=lambda item: item[1])[:CELL_LIMIT]:
            place.say(f"'{word}' is {what}", nearest(word, sorted(legal)), row + 1)
    return _series(text)


def _attribute(column: pa.ChunkedArray, place: Place) -> pd.Series:
    """Read a free attribute: numbers if every cell is one, true and false if all are, else text."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return _booleans(column, place)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _numbers(column, place)
    words = column.unique()  # what a column is depends on its distinct cells
    if column.null_count < len(column) and _every(
        pc.is_in(pc.utf8_lower(words), pa.array(["true", "false"], pa.large_string())), words
    ):
        return _boolean_series(_mask(pc.equal(pc.utf8_lower(column), "true")), _mask(pc.is_null(column)))
    numeric = pc.or_(pc.match_substring_regex(words, _NUMBER), pc.match_substring_regex(words, _NOT_FINITE))
    if _every(numeric, words) and not _mask(pc.match_substring_regex(words, _CODE)).any():
        return _numbers(column, place)
    return _ids(column, place) if _mask(pc.match_substring_regex(words, _MISSING)).any() else _series(column)


def _every(condition: pa.ChunkedArray, column: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.or_kleene(condition, pc.is_null(column)), min_count=0).as_py())
