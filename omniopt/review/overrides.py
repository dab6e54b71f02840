"""Vetoes and locks: what planners decide about single contacts, kept as data beside the run.

A run folder never changes once it is finished. What people decide about it is therefore written to a
sibling, ``<run folder>.review/overrides.csv``: a log to which rows are only ever added, so that it also says
who changed their mind and when. One row is one decision:

=============  =========================================================================
column         meaning
=============  =========================================================================
kind           ``veto`` (never this contact), ``lock`` (this contact in any case),
               ``unveto`` and ``unlock`` (take an earlier one back)
customer_id    the customer
action_id      the action
reason         why; required for a veto and a lock
who, when      optional: a name, and the time in UTC
=============  =========================================================================

What holds is the last word on each contact. A veto and a lock that both hold for one contact are a clash,
which is reported and never resolved by a guess.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from omniopt.errors import BadInput, Fault, Faults, nearest
from omniopt.review.data import FinishedRun

KINDS = ("veto", "lock", "unveto", "unlock")
COLUMNS = ("kind", "customer_id", "action_id", "reason", "who", "when")
KEY = ["customer_id", "action_id"]
_REQUIRED = ("kind", "customer_id", "action_id", "reason")
_AS_IN_PLAN = "Write the id as plan.parquet has it."
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


@dataclass(frozen=True)
class Overrides:
    """The decisions of one run's reviewers.

    Attributes
    ----------
    log : DataFrame
        Every sound row of the file, in its order (columns ``COLUMNS``, all text).
    vetoes, locks : DataFrame
        What holds now, one row per contact: customer_id, action_id, reason, who, when.
    clashes : DataFrame
        Contacts both vetoed and locked: customer_id, action_id, reason_veto, reason_lock.
    faults : list of Fault
        Rows that cannot be used, and why; a file with faults is not applied to a plan.
    """

    log: pd.DataFrame
    vetoes: pd.DataFrame
    locks: pd.DataFrame
    clashes: pd.DataFrame
    faults: list[Fault] = field(default_factory=list)

    def require_sound(self) -> None:
        """Refuse to go on while a row is faulty or two decisions clash.

        Raises
        ------
        BadInput
            With every faulty row and every clash.
        """
        faults = [*self.faults, *(_clash(row) for row in self.clashes.itertuples())]
        if faults:
            raise BadInput(faults)


def path_of(run: FinishedRun) -> Path:
    """Where the decisions on a run are kept: ``<run folder>.review/overrides.csv``."""
    return run.folder.with_name(run.folder.name + ".review") / "overrides.csv"


def read(run: FinishedRun) -> Overrides:
    """Read what was decided on a run; no file yet means nothing was.

    Raises
    ------
    BadInput
        When the file is no table of decisions at all. Faults in single rows are collected in the result
        instead, so that the page still opens.
    """
    return _sum_up(_parse(path_of(run)), run)


def add(run: FinishedRun, kind: str, contacts: pd.DataFrame, reason: str, who: str = "") -> Overrides:
    """Append one decision per contact, all or none, and return what holds afterwards.

    Parameters
    ----------
    run : FinishedRun
    kind : {"veto", "lock", "unveto", "unlock"}
    contacts : DataFrame
        customer_id and action_id; further columns are ignored.
    reason : str
        Required for a veto and a lock.
    who : str, optional

    Raises
    ------
    BadInput
        No contact, no reason, an unknown customer or action, a lock of a contact that a rule dropped, a
        decision that stands already or stands against an earlier one. Nothing is written then.
    """
    reason, who = " ".join(reason.split()), " ".join(who.split())
    faults = Faults()
    if kind not in KINDS:
        faults.add(f"'{kind}' is no kind of decision", hint=nearest(kind, KINDS))
    if not len(contacts):
        faults.add(f"no contact chosen to {kind}", hint="Mark at least one contact in the list.")
    if not reason and kind in ("veto", "lock"):
        faults.add(f"a {kind} needs a reason", hint="Say in a few words why, for those who read it later.")
    faults.raise_if_any()

    new = contacts[KEY].astype(str).drop_duplicates().assign(kind=kind, reason=reason, who=who)
    new["when"] = datetime.now(UTC).isoformat(timespec="seconds")
    new = new[list(COLUMNS)].reset_index(drop=True)
    path = path_of(run)
    try:
        with _alone(path.parent):
            standing = _sum_up(_parse(path), run)
            faults.extend(_unusable(new, run))
            faults.extend(_against(new, kind, standing))
            faults.raise_if_any()
            _append(path, new)
            return _sum_up(_parse(path), run)
    except OSError as error:
        raise BadInput(
            [
                Fault(
                    f"cannot be written: {error.strerror or error}",
                    file=_label(path),
                    hint="Nothing was saved.",
                )
            ]
        ) from error


def _sum_up(rows: pd.DataFrame, run: FinishedRun) -> Overrides:
    faults = _unusable(rows, run, path_of(run).name)
    bad = {fault.row for fault in faults}
    log = rows[~pd.Series(range(1, len(rows) + 1), index=rows.index).isin(bad)]
    vetoes, locks = _standing(log, "veto", "unveto"), _standing(log, "lock", "unlock")
    clashes = vetoes.merge(locks, on=KEY, suffixes=("_veto", "_lock"))[[*KEY, "reason_veto", "reason_lock"]]
    return Overrides(log, vetoes, locks, clashes, list(faults))


def _standing(log: pd.DataFrame, do: str, undo: str) -> pd.DataFrame:
    last = log[log["kind"].isin([do, undo])].drop_duplicates(KEY, keep="last")
    return last[last["kind"] == do].drop(columns="kind").reset_index(drop=True)


def _unusable(rows: pd.DataFrame, run: FinishedRun, file: str | None = None) -> Faults:
    """Every reason why a row cannot be used; without a file, the rows have no numbers to be found by."""
    customers = run.knows(rows["customer_id"], "customer_id")
    actions = run.knows(rows["action_id"], "action_id")
    dropped = run.dropped_because(rows.loc[rows["kind"] == "lock", KEY])
    faults = Faults()
    for i, row in enumerate(rows.itertuples(index=False)):
        number = i + 1 if file else None

        def fault(message: str, column: str, hint: str, number: int | None = number) -> None:
            faults.add(message, file=file, row=number, column=column if file else None, hint=hint)

        if row.kind not in KINDS:
            fault(f"'{row.kind}' is no kind of decision", "kind", nearest(row.kind, KINDS))
        if not row.reason and row.kind in ("veto", "lock"):
            fault(f"a {row.kind} needs a reason", "reason", "Say why.")
        if not customers[i]:
            fault(f"customer '{row.customer_id}' is not in this run", "customer_id", _AS_IN_PLAN)
        if not actions[i]:
            fault(f"action '{row.action_id}' is not in this run", "action_id", _AS_IN_PLAN)
        why = dropped.get((row.customer_id, row.action_id)) if row.kind == "lock" else None
        if why is not None and why != "veto":
            hint = "Change the rule or the data behind it, or leave the lock out."
            fault(f"{_name(row)} was dropped: {why}; a lock cannot bring it back", "action_id", hint)
    return faults


def _against(new: pd.DataFrame, kind: str, standing: Overrides) -> list[Fault]:
    """Which of the new decisions stand already, or stand against one that does."""
    held = {"veto": standing.vetoes, "lock": standing.locks}
    subject = kind.removeprefix("un")
    same = new.merge(held[subject], on=KEY, how="left", suffixes=("_new", ""), indicator=True)
    there = same[same["_merge"] == "both"]
    if kind != subject:
        absent = same[same["_merge"] == "left_only"]
        return [Fault(f"{_name(row)} has no {subject} to take back") for row in absent.itertuples()]
    found = [
        Fault(f"{_name(row)} has a {kind} already{_by(row)}: {row.reason}") for row in there.itertuples()
    ]
    other = "lock" if kind == "veto" else "veto"
    for row in new[KEY].merge(held[other], on=KEY).itertuples():
        found.append(
            Fault(f"{_name(row)} has a {other}{_by(row)}: {row.reason}", hint=f"Take the {other} back first.")
        )
    return found


def _name(row: Any) -> str:
    return f"action {row.action_id} for customer {row.customer_id}"


def _by(row: Any) -> str:
    said = [f"by {row.who}" if row.who else "", f"of {row.when}" if row.when else ""]
    return "".join(f" {part}" for part in said if part)


def _clash(row: Any) -> Fault:
    return Fault(
        f"{_name(row)} is both vetoed ({row.reason_veto}) and locked ({row.reason_lock})",
        file="overrides.csv",
        hint="Take one of the two back.",
    )


def _label(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _parse(path: Path) -> pd.DataFrame:
    """Every row of the file as text, in the order of ``COLUMNS``; who and when may be absent."""
    if not path.exists():
        return pd.DataFrame(columns=list(COLUMNS), dtype="str")
    try:
        records = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""), strict=True))
    except (OSError, UnicodeError, csv.Error) as error:
        raise BadInput(
            [
                Fault(
                    f"cannot be read as CSV text: {error}", file=_label(path), hint="Save it as CSV in UTF-8."
                )
            ]
        ) from error
    header, body = (records[0], records[1:]) if records else (list(COLUMNS), [])
    faults = Faults()
    for name in _REQUIRED:
        if name not in header:
            close = nearest(name, header)
            hint = close if close.startswith("did you mean") else f"the columns are {', '.join(COLUMNS)}"
            faults.add(f"column '{name}' is missing", file=_label(path), hint=hint)
    for number, record in enumerate(body, start=1):
        if record and len(record) != len(header):
            faults.add(
                f"{len(record)} cells where the header has {len(header)}", file=_label(path), row=number
            )
    faults.raise_if_any()
    place = {name: header.index(name) for name in COLUMNS if name in header}
    rows = [
        [_bare(record[place[name]]).strip() if name in place else "" for name in COLUMNS]
        for record in body
        if record
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype="str")


def _append(path: Path, rows: pd.DataFrame) -> None:
    """Replace the file by itself plus the new rows: a reader sees either all of them or none."""
    old = path.read_bytes() if path.exists() else b""
    header = next(csv.reader([old.decode("utf-8-sig").splitlines()[0]])) if old.strip() else list(COLUMNS)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    if not old.strip():
        writer.writerow(header)
    for record in rows.reindex(columns=header, fill_value="").itertuples(index=False):
        writer.writerow([_guarded(cell) for cell in record])
    start = old if not old.strip() or old.endswith(b"\n") else old + b"\n"
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(beside, "wb") as handle:
            handle.write(start + text.getvalue().encode())
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _guarded(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; ``_bare`` gives the text back."""
    return "'" + cell if cell.startswith(_FORMULA) else cell


def _bare(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two people who save at once both keep their rows."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # let go when the handle closes, also when the process dies
        yield
