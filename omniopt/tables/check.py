"""What must hold between rows and between tables: unique keys, known ids, dates that fit the horizon."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from omniopt.errors import Faults, nearest
from omniopt.tables.contract import CONTRACT, spec_of
from omniopt.tables.convert import CELL_LIMIT, Days, shortened
from omniopt.tables.texts import sorted_texts, text_codes, texts_of

#: The prefix of an attribute in a rule, and the table it comes from.
PREFIXES = {"customer": "customers", "offer": "offers", "channel": "channels", "action": "actions"}

Frames = Mapping[str, pd.DataFrame | None]
Files = Mapping[str, str | None]


def check_names(
    given: Collection[str], extra: Mapping[str, pd.DataFrame], faults: Faults, file: str | None = None
) -> None:
    """Fault extra tables that are a table of the contract under a misspelt name.

    They are called much like a table that is not given, and hold its key.
    """
    absent = [name for name in CONTRACT if name not in given]
    for name, frame in extra.items():
        for close in difflib.get_close_matches(name.casefold(), absent, n=1, cutoff=0.77):
            if set(CONTRACT[close].key) <= set(frame):
                faults.add(
                    f"'{name}' is no table of the contract",
                    file=file,
                    table=name,
                    hint=nearest(name, [close]),
                )


def check_presence(names: Iterable[str], faults: Faults, file: str | None = None) -> None:
    """Fault a project whose tables do not suffice to make candidates."""
    given = set(names)
    if "candidates" in given:
        if "actions" not in given:
            faults.add(
                "candidates are given without actions",
                file=file,
                table="actions",
                hint="Add the table actions",
            )
        return
    for name in ("customers", "offers", "channels"):
        if name not in given:
            hint = f"Add {name}, or bring the tables actions and candidates"
            faults.add(f"without candidates the table {name} is needed", file=file, table=name, hint=hint)
    if not given & {"scores", "history"}:
        hint = "Add scores, or a history to learn from, or bring the tables actions and candidates"
        faults.add("nothing says how customers respond", file=file, table="scores", hint=hint)


def check_keys(name: str, frame: pd.DataFrame, file: str | None, faults: Faults) -> None:
    """Fault rows whose key stands in an earlier row; both row numbers are named."""
    spec = spec_of(name)
    key = [column for column in spec.key if column in frame]
    # Without one of its columns a key says nothing; that the column is missing was said already.
    if not key or any(spec.columns[column].required for column in spec.key if column not in frame):
        return
    if len(key) == 1 and _ascending(frame[key[0]]):
        return
    codes, whole = np.zeros(len(frame), np.int64), np.ones(len(frame), bool)
    for column in key:
        part, values = pd.factorize(frame[column])
        whole &= part >= 0
        # Codes stay small: they are made dense again before the next column multiplies them.
        codes = pd.factorize(codes * (len(values) + 1) + part)[0].astype(np.int64)
    rows = np.flatnonzero(pd.Series(codes).duplicated().to_numpy() & whole)
    if not len(rows):
        return
    first = pd.Series(np.arange(len(codes))).groupby(codes).transform("min").to_numpy()
    what = " and ".join(key)
    for row in rows[:CELL_LIMIT]:
        cell = shortened(", ".join(str(frame[column].iloc[row]) for column in key))
        message = f"{what} '{cell}' stands in row {first[row] + 1} already"
        faults.add(
            message, file=file, table=name, row=int(row) + 1, column=key[-1], hint="Keep one of the two rows"
        )
    if len(rows) > CELL_LIMIT:
        faults.add(f"and {len(rows) - CELL_LIMIT} more rows with a key that is taken", file=file, table=name)


def _ascending(ids: pd.Series) -> bool:
    """Whether each id comes after the one before it, so that none can stand twice."""
    texts = pa.array(ids.array)
    return bool(pc.all(pc.less(texts[:-1], texts[1:]), skip_nulls=False, min_count=0).as_py())


def check_links(frames: Frames, whole: Collection[str], files: Files, faults: Faults) -> None:
    """Fault ids that the table they point to does not hold, once per distinct id.

    Only tables in `whole` are pointed to: one that lost rows in reading, or has none, has said so already.
    """
    for name, frame in frames.items():
        if frame is None:
            continue
        for column, target in CONTRACT[name].links.items():
            other = frames.get(target)
            if (
                other is None
                or target not in whole
                or column not in frame
                or (key := CONTRACT[target].key[0]) not in other
            ):
                continue
            _check_link(name, frame[column], target, other[key], files, faults)


def _check_link(
    name: str, ids: pd.Series, target: str, known: pd.Series, files: Files, faults: Faults
) -> None:
    codes, words = pd.factorize(ids)
    unknown = np.flatnonzero(text_codes(texts_of(pd.Series(words)), sorted_texts(known)) < 0)
    if not len(unknown):
        return
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    first = pd.Series(np.arange(len(codes))).groupby(codes).min()
    there = files.get(target) or f"table {target}"
    # Enough to find a slip of the pen; comparing with every id of a large table would take minutes.
    legal = {word.casefold(): word for word in known.dropna().iloc[:2000]}
    for code in unknown[:CELL_LIMIT]:
        word, times = words[code], f" ({counts[code]} rows)" if counts[code] > 1 else ""
        close = difflib.get_close_matches(word.casefold().strip(), list(legal), n=1, cutoff=0.6)
        hint = f"did you mean '{legal[close[0]]}'?" if close else f"Add it there, or remove it from {name}"
        faults.add(
            f"'{shortened(word)}' is not in {there}{times}",
            file=files.get(name),
            table=name,
            row=int(first[code]) + 1,
            column=str(ids.name),
            hint=hint,
        )
    if len(unknown) > CELL_LIMIT:
        more = f"and {len(unknown) - CELL_LIMIT} more unknown ids"
        faults.add(more, file=files.get(name), table=name, column=str(ids.name))


def check_rows(frames: Frames, files: Files, days: Days, faults: Faults) -> None:
    """Fault rows that contradict themselves or the horizon."""
    for name in ("offers", "consents"):
        frame = frames.get(name)
        if frame is not None and {"valid_from", "valid_to"} <= set(frame):
            wrong = _true(frame["valid_from"] > frame["valid_to"])
            _rows(
                wrong, name, "valid_to", "it lies before valid_from", "Exchange the two dates", files, faults
            )
    channels = frames.get("channels")
    if channels is not None:
        _check_channels(channels, files, faults)
    actions = frames.get("actions")
    if actions is not None and "date" in actions:
        last = days.days or np.inf
        wrong = _true((actions["date"] < 1) | (actions["date"] > last))
        span = f"1 to {days.days}" if days.days else "1 and later"
        if days.start and days.days:
            end = np.datetime64(days.start) + np.timedelta64(days.days - 1, "D")
            span = f"{days.start} to {end}"
        _rows(wrong, "actions", "date", f"the date lies outside the horizon ({span})", None, files, faults)
    history = frames.get("history")
    if history is not None and {"date", "planned"} <= set(history):
        _check_history(history, files, faults)


def _check_channels(channels: pd.DataFrame, files: Files, faults: Faults) -> None:
    if {"send_from", "send_to"} <= set(channels):
        wrong = _true(channels["send_from"] >= channels["send_to"])
        message = "it is not later than send_from, so nothing could be sent"
        _rows(wrong, "channels", "send_to", message, "Exchange the two times", files, faults)
    if {"channel", "fallback"} <= set(channels):
        wrong = _true(channels["fallback"] == channels["channel"])
        _rows(
            wrong,
            "channels",
            "fallback",
            "a channel is no fallback of itself",
            "Leave it empty",
            files,
            faults,
        )


def _check_history(history: pd.DataFrame, files: Files, faults: Faults) -> None:
    planned = history["planned"].fillna(False).to_numpy(bool)
    late = _true(history["date"] >= 1) & ~planned
    message = "what happened on or after the planning date must stay out of history"
    _rows(
        late,
        "history",
        "date",
        message,
        "Remove the row, or set planned to true for a commitment",
        files,
        faults,
    )
    if "outcome" in history:
        untold = history["outcome"].isna().to_numpy() & ~planned
        hint = "Write the outcome, or set planned to true"
        _rows(untold, "history", "outcome", "the outcome is missing", hint, files, faults)
    elif not planned.all():
        hint = "Add the column, or a column planned that is true in every row"
        faults.add(
            "the column is missing", file=files.get("history"), table="history", column="outcome", hint=hint
        )


def check_multi_valued(
    multi_valued: Mapping[str, str], frames: Frames, file: str | None, faults: Faults
) -> None:
    """Fault multi-valued columns that no table has."""
    for name, separator in multi_valued.items():
        prefix, _, column = name.partition(".")
        frame = frames.get(PREFIXES.get(prefix, ""))
        if prefix not in PREFIXES or not column:
            hint = "Write it as customer.<column>, offer.<column>, channel.<column> or action.<column>"
            faults.add(f"multi_valued: '{name}' is no attribute", file=file, hint=hint)
        elif frame is None or column not in frame:
            legal = [] if frame is None else [f"{prefix}.{other}" for other in frame]
            faults.add(f"multi_valued: there is no column {name}", file=file, hint=nearest(name, legal))
        if not separator:
            faults.add(
                f"multi_valued: the separator of '{name}' is empty", file=file, hint='Write one, such as ";"'
            )


def _rows(
    wrong: np.ndarray, name: str, column: str, message: str, hint: str | None, files: Files, faults: Faults
) -> None:
    rows = np.flatnonzero(wrong)
    for row in rows[:CELL_LIMIT]:
        faults.add(message, file=files.get(name), table=name, row=int(row) + 1, column=column, hint=hint)
    if len(rows) > CELL_LIMIT:
        faults.add(f"and {len(rows) - CELL_LIMIT} more rows", file=files.get(name), table=name, column=column)


def _true(condition: pd.Series) -> np.ndarray:
    """Turn a condition into booleans; unknown is False."""
    return condition.fillna(False).to_numpy(bool)
