"""Rows within one unit, a customer or a household: the one shape of all rules for each customer.

A row bounds the number of *distinct classes* among its chosen members. For ``count: offers`` each
member is a class of its own; for occasions the contacts of one channel and date share a class. A
conflicting pair is a row of two members with cap 1; a contact that needs another is a row with
a lower bound that only counts if the contact is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omniopt.rules.distinct import distinct

ALWAYS, ANY = -1, -2  # triggers of a lower bound: it always counts, or if any member is chosen
NO_CAP = np.iinfo(np.int32).max


@dataclass(frozen=True)
class UnitRows:
    """Rows within units, in compressed form: members of row i are ``start[i]:start[i + 1]``.

    Attributes
    ----------
    rule : ndarray of int64, shape (r,)
        Position in ``names`` of the rule that each row comes from.
    lo : ndarray of int64, shape (r,)
        How many distinct classes have to be chosen where the row's trigger holds; 0 for none.
    cap : ndarray of int64, shape (r,)
        How many distinct classes may be chosen, history taken off; NO_CAP for any number.
    trigger : ndarray of int64, shape (r,)
        When the lower bound counts: ALWAYS, ANY, or the candidate that has to be chosen.
    unit : ndarray of int64, shape (r,)
        Code of the unit that each row belongs to.
    start : ndarray of int64, shape (r + 1,)
    member : ndarray of int64
        Candidates.
    occasion : ndarray of int64
        Class of each member: members of one row with the same class count once.
    names : list of str
    """

    rule: np.ndarray
    lo: np.ndarray
    cap: np.ndarray
    trigger: np.ndarray
    unit: np.ndarray
    start: np.ndarray
    member: np.ndarray
    occasion: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        return len(self.cap)

    @property
    def row(self) -> np.ndarray:
        """The row of every membership."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    @staticmethod
    def of(
        name: str, unit: np.ndarray, count: np.ndarray, member: np.ndarray, occasion: np.ndarray,
        lo: np.ndarray | int = 0, cap: np.ndarray | int = NO_CAP, trigger: np.ndarray | int = ALWAYS,
    ) -> UnitRows:  # fmt: skip
        """Make rows of one rule with ``count`` members each."""
        size = len(count)
        start = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        lo, cap, trigger = (np.broadcast_to(np.asarray(v, np.int64), size).copy() for v in (lo, cap, trigger))
        rule = np.zeros(size, np.int64)
        return UnitRows(rule, lo, cap, trigger, unit, start, member, occasion, [name])

    @staticmethod
    def stack(parts: list[UnitRows]) -> UnitRows:
        """Put the rows of several rules under one another; parts of one rule stay one rule."""
        names = list(dict.fromkeys(name for part in parts for name in part.names))
        place = {name: i for i, name in enumerate(names)}
        none = [np.zeros(0, np.int64)]
        rule = none + [np.array([place[n] for n in p.names], np.int64)[p.rule] for p in parts]
        start, members = [np.zeros(1, np.int64)], 0
        for part in parts:
            start.append(part.start[1:] + members)
            members += len(part.member)
        joined = {
            k: np.concatenate(none + [getattr(p, k) for p in parts])
            for k in ("lo", "cap", "trigger", "unit", "member", "occasion")
        }
        return UnitRows(np.concatenate(rule), start=np.concatenate(start), names=names, **joined)

    def among(self, kept: np.ndarray) -> UnitRows:
        """Return the rows over some of the candidates, numbered anew, as if there were no others.

        Parameters
        ----------
        kept : ndarray of bool, shape (n,)
        """
        number = np.cumsum(kept) - 1
        row, named = self.row, self.trigger >= 0
        asked = np.ones(len(self), bool)
        asked[named] = kept[self.trigger[named]]
        member = kept[self.member] & asked[row]
        count = np.bincount(row[member], minlength=len(self))
        says = asked & ((self.lo > 0) | (count > self.cap))
        member &= says[row]
        trigger = np.where(named, number[np.maximum(self.trigger, 0)], self.trigger)[says]
        start = np.concatenate([[0], np.cumsum(count[says])]).astype(np.int64)
        return UnitRows(
            self.rule[says], self.lo[says], self.cap[says], trigger, self.unit[says], start,
            number[self.member[member]], self.occasion[member], self.names,
        )  # fmt: skip

    def counts(self, chosen: np.ndarray) -> np.ndarray:
        """Count the distinct classes among the chosen members of each row.

        Parameters
        ----------
        chosen : ndarray of bool, shape (n,)
        """
        taken = chosen[self.member]
        if not taken.any():
            return np.zeros(len(self), np.int64)
        classes = distinct(self.row[taken], self.occasion[taken])[0]
        return np.bincount(classes, minlength=len(self))

    def kept(self, chosen: np.ndarray) -> np.ndarray:
        """Say of each row whether a choice keeps it, bool of shape (r,)."""
        count = self.counts(chosen)
        triggered = np.where(self.trigger == ANY, count > 0, True)
        named = self.trigger >= 0
        triggered[named] = chosen[self.trigger[named]]
        return (count <= self.cap) & ((count >= self.lo) | ~triggered)
