"""What rules do to units, rule by rule: rows over keys, each distinct set of rows kept once."""

from __future__ import annotations

import numpy as np
import pandas as pd

from omniopt.decisions.large.pasts import StandIns
from omniopt.decisions.large.seen import Rule
from omniopt.decisions.large.shape import FREE, GENERAL, ONE, Templates
from omniopt.rules.contact import ContactRows
from omniopt.rules.pairs import PairRows
from omniopt.rules.policy import Conflict, Contact
from omniopt.rules.unit_rows import NO_CAP, UnitRows
from omniopt.rules.where import expand

LO, CAP, TRIGGER, OPTIONAL, RULE = range(5)  # columns of a row
ROW, KEY, SLOT = range(3)  # columns of a membership


def rows_of(rule: Rule, stand_ins: StandIns) -> UnitRows:
    """Run a rule on stand-ins."""
    if isinstance(rule, Contact):
        return ContactRows(stand_ins.candidates, stand_ins.scopes, stand_ins.units).build([rule])
    pairs = PairRows(stand_ins.candidates, stand_ins.scopes, stand_ins.units)
    return pairs.conflicts([rule]) if isinstance(rule, Conflict) else pairs.requires([rule])


class Effects:
    """Distinct effects by number; number 0 is none.

    An effect is a table of rows (lo, cap, trigger, optional, rule) and a table of their members
    (row, key, slot), sorted.

    Attributes
    ----------
    widest : list of int
        Members of the widest row of each effect that allows just one of them, 0 without such a row.
    """

    def __init__(self) -> None:
        self._number: dict[bytes, int] = {}
        self._rows: list[np.ndarray] = []
        self._members: list[np.ndarray] = []
        self.widest: list[int] = []
        self.take(np.zeros((0, 5), np.int32), np.zeros((0, 3), np.int32))

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, rows: np.ndarray, members: np.ndarray) -> int:
        """Return the number of an effect."""
        mark = b"%d|" % len(rows) + rows.tobytes() + members.tobytes()
        number = self._number.setdefault(mark, len(self._rows))
        if number == len(self._rows):
            self._rows.append(rows.copy())
            self._members.append(members.copy())
            self.widest.append(_widest(rows, members))
        return number

    def cut(self, rows: UnitRows, key: np.ndarray, units: int, rule: int, optional: bool) -> np.ndarray:
        """Take the effect of a rule on each of some units.

        Parameters
        ----------
        rows : UnitRows
            Over candidates of units that are numbered from 0.
        key : ndarray of int64
            Of every candidate.
        units : int
        rule : int
        optional : bool
            Whether lower bounds are asked only of units with candidates among the members.

        Returns
        -------
        ndarray of int64, shape (units,)
        """
        order = np.argsort(rows.unit, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        row = rank[rows.row]
        sort = np.lexsort((rows.occasion, key[rows.member], row))
        row, member, kind = row[sort], key[rows.member][sort], rows.occasion[sort]
        low = int(kind.min(initial=0))
        slot = pd.factorize(row * (int(kind.max(initial=0)) - low + 1) + kind - low)[0]
        unit = rows.unit[order]
        first_row = np.searchsorted(unit, np.arange(units + 1))
        first = np.searchsorted(row, first_row)
        own = np.repeat(np.arange(units), np.diff(first))
        first_slot = slot[np.minimum(first[:-1], len(slot) - 1)] if len(slot) else np.zeros(units, np.int64)
        trigger = rows.trigger[order]
        trigger = np.where(trigger >= 0, key[np.maximum(trigger, 0)] if len(key) else trigger, trigger)
        lo, cap = (np.minimum(v[order], NO_CAP) for v in (rows.lo, rows.cap))
        head = np.stack([lo, cap, trigger, optional & (lo > 0), np.full(len(lo), rule)], axis=1)
        body = np.stack([row - first_row[own], member, slot - first_slot[own]], axis=1)
        head, body = head.astype(np.int32), body.astype(np.int32)
        a, b = first_row.tolist(), first.tolist()
        return np.array(
            [self.take(head[a[i] : a[i + 1]], body[b[i] : b[i + 1]]) for i in range(units)], np.int64
        )

    def templates(self, table: np.ndarray, keys: np.ndarray, one: np.ndarray, names: list[str]) -> Templates:
        """Put effects together.

        Parameters
        ----------
        table : ndarray of int64, shape (s, e)
            Effects of every template.
        keys : ndarray of int64, shape (s,)
            How many keys each has.
        one : ndarray of bool, shape (s,)
            Whether one row allows just one contact of all that there can be.
        names : list of str
            Of rules.
        """
        rows, members = np.concatenate(self._rows), np.concatenate(self._members)
        row_count = np.array([len(r) for r in self._rows], np.int64)
        count = np.array([len(m) for m in self._members], np.int64)
        slots = np.array([int(m[:, SLOT].max(initial=-1)) + 1 for m in self._members], np.int64)
        flat = table.ravel()
        at_row = expand((np.cumsum(row_count) - row_count)[flat], row_count[flat])
        at = expand((np.cumsum(count) - count)[flat], count[flat])
        row, slot = (
            members[at, column] + np.repeat(_before(size[table]).ravel(), count[flat])
            for column, size in ((ROW, row_count), (SLOT, slots))
        )
        key_start = np.concatenate([[0], np.cumsum(keys)])
        place = np.repeat(np.repeat(key_start[:-1], table.shape[1]), count[flat]) + members[at, KEY]
        order = np.argsort(place, kind="stable")
        entries = np.bincount(place, minlength=int(key_start[-1]))
        row_start = np.concatenate([[0], np.cumsum(row_count[table].sum(axis=1))])
        lo, cap, trigger, optional, rule = np.ascontiguousarray(rows[at_row].T)
        hard = np.array([((r[:, LO] > 0) | (r[:, CAP] < 1)).any() for r in self._rows], bool)
        shape = np.where(one & ~hard[table].any(axis=1), ONE, GENERAL)
        shape[np.diff(row_start) == 0] = FREE
        return Templates(
            key_start=key_start,
            entry_start=np.concatenate([[0], np.cumsum(entries)]),
            entry_row=row[order].astype(np.int32),
            entry_slot=slot[order].astype(np.int32),
            row_start=row_start,
            lo=lo, cap=cap, trigger=trigger, optional=optional.astype(bool), rule=rule,
            slots=slots[table].sum(axis=1).astype(np.int32),
            shape=shape.astype(np.int8),
            names=names,
        )  # fmt: skip


def _widest(rows: np.ndarray, members: np.ndarray) -> int:
    alone = np.bincount(members[:, SLOT])[members[:, SLOT]] == 1
    size = np.bincount(members[:, ROW], minlength=len(rows))
    single = np.bincount(members[alone, ROW], minlength=len(rows))
    return int(size[(rows[:, CAP] == 1) & (size == single)].max(initial=0))


def _before(sizes: np.ndarray) -> np.ndarray:
    """Sum what stands to the left in each line."""
    return np.cumsum(sizes, axis=1) - sizes
