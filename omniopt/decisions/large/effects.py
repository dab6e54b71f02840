"""What rules do to units, rule by rule: rows over keys, each distinct set of rows kept once."""

from __future__ import annotations

import numba
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


def tidied(rows: UnitRows, optional: bool) -> UnitRows:
    """Put all that a rule rules out into one row for each unit, and take it out of the rule's other rows.

    Parameters
    ----------
    rows : UnitRows
        Of one rule.
    optional : bool
        Whether lower bounds are asked only of units with candidates among the members, be they ruled out.
    """
    shut, row = rows.cap == 0, rows.row
    if not shut.any():
        return rows
    out = np.zeros(int(max(rows.member.max(initial=0), rows.trigger.max(initial=0))) + 1, bool)
    unit = np.zeros(len(out), np.int64)
    unit[rows.member] = rows.unit[row]
    out[rows.member[shut[row]]] = True
    barred = np.flatnonzero(out)
    barred = barred[np.argsort(unit[barred], kind="stable")]
    one, count = np.unique(unit[barred], return_counts=True)
    asked = rows.lo > 0
    stays = ~shut[row] & (~out[rows.member] | (optional & asked)[row])
    classes = np.bincount(row[stays], minlength=len(rows))
    kept = ~shut & (asked | (classes > rows.cap))
    named = np.flatnonzero(rows.trigger >= 0)
    kept[named] &= ~out[rows.trigger[named]]
    stays &= kept[row]
    start = np.concatenate([[0], np.cumsum(np.bincount(row[stays], minlength=len(rows))[kept])])
    others = UnitRows(
        rows.rule[kept], rows.lo[kept], rows.cap[kept], rows.trigger[kept], rows.unit[kept], start,
        rows.member[stays], rows.occasion[stays], rows.names,
    )  # fmt: skip
    return UnitRows.stack([others, UnitRows.of(rows.names[0], one, count, barred, barred, cap=0)])


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
        rows = tidied(rows, optional)
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

    def moved(self, numbers: np.ndarray, by: int) -> np.ndarray:
        """Return the numbers of the same effects on keys that are so much higher."""
        distinct, place = np.unique(numbers, return_inverse=True)
        found = []
        for number in distinct:
            rows, members = self._rows[number].copy(), self._members[number].copy()
            rows[:, TRIGGER] += np.where(rows[:, TRIGGER] >= 0, by, 0).astype(np.int32)
            members[:, KEY] += by
            found.append(self.take(rows, members))
        return np.array(found, np.int64)[place]

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
        key_start = np.concatenate([[0], np.cumsum(keys)])
        start = np.concatenate([[0], np.cumsum(count)])
        entry_start, entry_row, entry_slot = _laid_out(table, start, members, row_count, slots, key_start)
        row_start = np.concatenate([[0], np.cumsum(row_count[table].sum(axis=1))])
        lo, cap, trigger, optional, rule = np.ascontiguousarray(rows[at_row].T)
        hard = np.array([((r[:, LO] > 0) | (r[:, CAP] < 1)).any() for r in self._rows], bool)
        shape = np.where(one & ~hard[table].any(axis=1), ONE, GENERAL)
        shape[np.diff(row_start) == 0] = FREE
        return Templates(
            key_start=key_start,
            entry_start=entry_start,
            entry_row=entry_row,
            entry_slot=entry_slot,
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


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _laid_out(
    table: np.ndarray, start: np.ndarray, members: np.ndarray, rows: np.ndarray, slots: np.ndarray,
    key_start: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """List the memberships of every key of every template; see `Templates`.

    Parameters
    ----------
    table : ndarray of int64, shape (s, e)
        Effects of every template.
    start : ndarray of int64
        Members of effect i are ``members[start[i]:start[i + 1]]``.
    rows, slots : ndarray of int64
        How many each effect has.
    key_start : ndarray of int64, shape (s + 1,)
    """
    first = np.zeros(key_start[-1] + 1, np.int64)
    for t in range(len(table)):
        for effect in table[t]:
            for m in range(start[effect], start[effect + 1]):
                first[key_start[t] + members[m, KEY] + 1] += 1
    first = np.cumsum(first)
    place = first.copy()
    row = np.empty(first[-1], np.int32)
    slot = np.empty(first[-1], np.int32)
    for t in range(len(table)):
        row_before = slot_before = 0
        for effect in table[t]:
            for m in range(start[effect], start[effect + 1]):
                key = key_start[t] + members[m, KEY]
                row[place[key]] = row_before + members[m, ROW]
                slot[place[key]] = slot_before + members[m, SLOT]
                place[key] += 1
            row_before += rows[effect]
            slot_before += slots[effect]
    return first, row, slot
