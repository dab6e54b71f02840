"""What takes candidates out, looked up for all candidates of some customers at a time.

Whatever depends on the action alone, or on group and kind, is a table. Customers are asked one by
one only about consents, time zones and past refusals, by the code that small problems use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numba
import numpy as np
import pandas as pd
import pyarrow as pa

from omniopt.actions.candidates import NO_CONSENT_FOR, NO_ZONE, NOT_VALID, SILENT, Candidates, invalid_actions
from omniopt.actions.catalogue import Catalogue
from omniopt.actions.permission import ALLOWED, NO_CONSENT, NO_TIME_ZONE, NOT_A_SEND_DAY, Permission
from omniopt.decisions.large.bins import Eligible
from omniopt.decisions.large.shape import Bins
from omniopt.rules.eligibility import VETO, drop_ineligible
from omniopt.rules.holdout import EXPLORATION, HoldOut
from omniopt.rules.policy import Eligibility, Policy
from omniopt.rules.where import Scopes, expand
from omniopt.tables import Coded


@dataclass(frozen=True)
class Given:
    """Candidates before any is taken out, sorted by customer and action.

    Attributes
    ----------
    customer : ndarray of int64, shape (c,)
        Those that have any, ascending.
    start : ndarray of int64, shape (c + 1,)
        Candidates of the i-th of them are ``start[i]:start[i + 1]``.
    action : ndarray or None, shape (n,)
        Places in ``code``; None where every customer meets every action.
    code : ndarray of int64
        Codes of actions in the catalogue.
    """

    customer: np.ndarray
    start: np.ndarray
    action: np.ndarray | None
    code: np.ndarray

    @staticmethod
    def of(catalogue: Catalogue, coded: Coded | None) -> Given:
        """Take candidates as they were read; without any table, everybody meets every action."""
        if coded is not None:
            code = catalogue.codes_of("action", _series(coded.action_ids))
            return Given(
                catalogue.codes_of("customer", _series(coded.customer_ids)), coded.start, coded.action, code
            )
        customers, actions = len(catalogue.entities["customer"]), len(catalogue.actions)
        everybody = np.arange(customers if actions else 0, dtype=np.int64)
        start = np.arange(len(everybody) + 1, dtype=np.int64) * actions
        return Given(everybody, start, None, np.arange(actions, dtype=np.int64))

    def rows(self, lot: tuple[int, int]) -> slice:
        """Return where the candidates of a lot of customers are."""
        return slice(int(self.start[lot[0]]), int(self.start[lot[1]]))

    def places(self, lot: tuple[int, int]) -> np.ndarray:
        """Return the place in ``code`` of the action of every candidate of a lot of customers."""
        if self.action is None:
            return np.tile(np.arange(len(self.code), dtype=np.int32), lot[1] - lot[0])
        return self.action[self.rows(lot)]

    def actions(self, lot: tuple[int, int]) -> np.ndarray:
        """Return the action of every candidate of a lot of customers, int64."""
        return self.code[self.places(lot)]

    def among(self, customers: np.ndarray) -> tuple[Given, np.ndarray]:
        """Return the candidates of the customers under a mask, and where they are among all."""
        at = np.flatnonzero(customers[self.customer])
        count = np.diff(self.start)[at]
        rows = expand(self.start[at], count)
        start = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        action = None if self.action is None else self.action[rows]
        return Given(self.customer[at], start, action, self.code), rows

    def __len__(self) -> int:
        return int(self.start[-1])


class Judged(NamedTuple):
    """What becomes of the candidates of a lot: bin, reason (0: it lives), matches of each rule."""

    bin: np.ndarray
    reason: np.ndarray
    matched: np.ndarray


class Gate:
    """Judges lots of candidates.

    Attributes
    ----------
    reasons : list of str
        Why a candidate is out, in the order in which it is asked; place 0 is unused.
    """

    def __init__(
        self, catalogue: Catalogue, permission: Permission, policy: Policy, bins: Bins, eligible: Eligible,
        scopes: Scopes, held: HoldOut | None,
    ) -> None:  # fmt: skip
        self.rules, self.bins, self.eligible, self.held = policy.eligibility, bins, eligible, held
        self.permitted = _Permitted(catalogue, permission)
        channels = catalogue.ids("channel")
        self.reasons = ["", NOT_VALID, *(f"{NO_CONSENT_FOR} {name}" for name in channels), NO_ZONE, SILENT]
        refusal = np.zeros((4, len(channels)), np.int16)
        refusal[NO_CONSENT] = np.arange(len(channels)) + 2
        refusal[NO_TIME_ZONE], refusal[NOT_A_SEND_DAY] = len(channels) + 2, len(channels) + 3
        self.refusal = refusal[:, catalogue.actions.codes["channel"]]
        self.asked = len(self.reasons) - 1  # the policy's rules come after these
        self.reasons += [rule.name for rule in policy.eligibility] + [VETO]
        self.veto = len(self.reasons) - 1
        self.reasons += [] if held is None else [*held.reasons(catalogue), EXPLORATION]
        self.offer = catalogue.actions.codes["offer"]
        every = np.arange(len(catalogue.actions))
        self.plain_reason = self.refusal[self.permitted.on_channel, every]
        self.plain_reason[invalid_actions(catalogue)] = 1
        first_kind = np.searchsorted(bins.action, every)
        self.plain_kind = (first_kind + self.permitted.fallback_open).astype(np.int32)
        self.resting = _Resting(catalogue, policy.eligibility, scopes)
        # whether more than a candidate's action and its customer's group matters
        self.looks_closer = bool(len(self.permitted.asked) or policy.eligibility or held is not None)

    def judge(self, given: Given, lot: tuple[int, int], vetoed: np.ndarray, passed: np.ndarray) -> Judged:
        """Judge the candidates of a lot of customers.

        Parameters
        ----------
        given : Given
        lot : (int, int)
        vetoed : ndarray of int64
            Positions of the candidates that people ruled out, ascending.
        passed : ndarray of int64
            Positions of the candidates that give way to a contact drawn at random, ascending.
        """
        customers, rows = given.customer[slice(*lot)], given.rows(lot)
        start = given.start[lot[0] : lot[1] + 1] - rows.start
        base = self.bins.group_of[customers] * np.int32(self.bins.kinds)
        bin, reason = np.empty(start[-1], np.int32), np.empty(start[-1], np.int16)
        of_place = (self.plain_kind[given.code], self.plain_reason[given.code])
        _look_up(start, given.places(lot), base, *of_place, bin, reason)
        matched = np.zeros(len(self.rules), np.int64)
        if self.looks_closer:
            action, owner = given.actions(lot), np.repeat(np.arange(len(customers)), np.diff(start))
            at, why = self.permitted.ask(owner, customers, action, 1)
            at, why = at[reason[at] == 0], why[reason[at] == 0]
            reason[at] = self.refusal[why, action[at]]
            at, why = self.permitted.ask(owner, customers, action, 2)
            bin[at] += why == ALLOWED
            rule, matched, bin = self._rules(customers, owner, action, bin)
            struck = (reason == 0) & (rule > 0)
            reason[struck] = rule[struck] + self.asked
        own = vetoed[slice(*np.searchsorted(vetoed, [rows.start, rows.stop]))] - rows.start
        reason[own[reason[own] == 0]] = self.veto
        if self.held is not None:
            reason[(reason == 0) & self.held.control[customers][owner]] = self.veto + 1
            offer = self.offer[action]
            own = np.flatnonzero((reason == 0) & self.held.offers[offer, customers[owner]])
            reason[own] = self.veto + 2 + offer[own]
            own = passed[slice(*np.searchsorted(passed, [rows.start, rows.stop]))] - rows.start
            reason[own] = len(self.reasons) - 1
        return Judged(bin, reason, matched)

    def _rules(
        self, customers: np.ndarray, owner: np.ndarray, action: np.ndarray, bin: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Apply the policy: 1 + the first rule against each, how many each matches, the final bin."""
        matched = np.zeros(len(self.rules), np.int64)
        if not self.rules:
            return np.zeros(len(bin), np.int16), matched, bin
        found, moved = self.eligible.reason[bin], self.eligible.bin[bin]
        for number, rule in enumerate(self.rules):
            if rule.drop is not None:
                matched[number] = np.count_nonzero(self.eligible.matched[rule.name][bin])
                continue
            hit, lost = self.resting.find(
                rule, customers, owner, action, self.bins.fallback[bin % self.bins.kinds]
            )
            matched[number] = len(hit)
            found[hit[(found[hit] == 0) | (found[hit] > number + 1)]] = number + 1
            moved[lost] = np.minimum(moved[lost], bin[lost] - 1)  # the kind before has no fallback
        return found, matched, moved


@numba.njit(cache=True, nogil=True)
def _look_up(start, place, base, kind_of, reason_of, bin, reason):  # type: ignore[no-untyped-def]
    """Find each candidate's bin, and what speaks against it, by its customer and its action's place."""
    for i in range(len(base)):
        for j in range(start[i], start[i + 1]):
            bin[j] = base[i] + kind_of[place[j]]
            reason[j] = reason_of[place[j]]


class _Permitted:
    """Permission by channel and day where it is the same for everybody, else by customer.

    Attributes
    ----------
    on_channel : ndarray of int8
        For each action the reason against it, ALLOWED where customers have to be asked.
    fallback_open : ndarray of bool
        For each action whether everybody may be contacted on its fallback.
    """

    def __init__(self, catalogue: Catalogue, permission: Permission) -> None:
        self.permission = permission
        channel, day = catalogue.actions.codes["channel"], catalogue.actions.day
        second = catalogue.fallback[channel] if len(channel) else channel
        reserve = np.flatnonzero(second >= 0)
        both = np.stack([np.append(channel, second[reserve]), np.append(day, day[reserve])])
        (self.channel, self.day), place = np.unique(both, axis=1, return_inverse=True)
        personal = (permission.requires_consent | permission.requires_zone)[self.channel]
        reason = np.zeros(len(personal), np.int8)
        plain = np.flatnonzero(~personal)  # whom one asks about makes no difference
        if len(permission.has_zone):
            reason[plain] = permission.reason(0 * plain, self.channel[plain], self.day[plain])
        legs = np.full((2, len(channel)), -1)
        legs[0], legs[1, reserve] = place[: len(channel)], place[len(channel) :]
        self.on_channel = reason[legs[0]]
        self.fallback_open = np.zeros(len(channel), bool)
        self.fallback_open[reserve] = ((reason == ALLOWED) & ~personal)[legs[1, reserve]]
        self.asked = np.flatnonzero(personal)
        number = np.full(len(personal) + 1, -1)  # the last one is that of no channel
        number[self.asked] = np.arange(len(self.asked))
        self.number = number[legs]

    def ask(
        self, owner: np.ndarray, customers: np.ndarray, action: np.ndarray, leg: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ask customers about their contacts: which ones depend on them, and ALLOWED or the reason."""
        number = self.number[leg - 1]
        if not (number >= 0).any():
            return np.zeros(0, np.int64), np.zeros(0, np.int8)
        number = number[action]
        at = np.flatnonzero(number >= 0)
        if len(self.asked) * len(customers) > len(at):
            pair = self.asked[number[at]]
            return at, self.permission.reason(customers[owner[at]], self.channel[pair], self.day[pair])
        everybody, every = np.repeat(customers, len(self.asked)), np.tile(self.asked, len(customers))
        table = self.permission.reason(everybody, self.channel[every], self.day[every])
        return at, table[owner[at] * len(self.asked) + number[at]]


class _Resting:
    """Rests after outcomes, asked only of customers who have such outcomes."""

    def __init__(self, catalogue: Catalogue, rules: list[Eligibility], scopes: Scopes) -> None:
        self.scopes = scopes
        outcomes = {outcome for rule in rules if rule.after is not None for outcome in rule.after.outcome}
        known = np.zeros(len(catalogue.past), bool)
        if outcomes and "outcome" in catalogue.past_table:
            counted = catalogue.past_table["outcome"].isin(outcomes).to_numpy(bool)
            known = counted & (catalogue.past.codes["customer"] >= 0)
        table = catalogue.past_table[known].reset_index(drop=True) if len(known) else catalogue.past_table
        self.catalogue = replace(catalogue, past=catalogue.past.take(known), past_table=table)
        nobody = np.zeros(0, np.int64)
        for rule in rules:
            if rule.after is not None:
                self._ask(rule, nobody, nobody, nobody, slice(0, 0))  # what is wrong with it is told once

    def find(
        self, rule: Eligibility, customers: np.ndarray, owner: np.ndarray, action: np.ndarray,
        fallback: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Return which candidates are kept quiet, and which of them all lose their fallback."""
        past = self.catalogue.past.codes["customer"]
        mine = slice(*np.searchsorted(past, [customers[0], customers[-1] + 1]))
        at = np.flatnonzero(np.isin(customers, past[mine])[owner])
        if not len(at):
            return at, at
        hit, lost = self._ask(rule, customers[owner[at]], action[at], fallback[at], mine)
        return at[hit], at[lost]

    def _ask(
        self, rule: Eligibility, customer: np.ndarray, action: np.ndarray, fallback: np.ndarray, past: slice
    ) -> tuple[np.ndarray, np.ndarray]:
        known = self.catalogue
        part = replace(known, past=known.past.take(past), past_table=known.past_table.iloc[past])  # type: ignore[arg-type]
        none = np.zeros(len(customer), np.int16)
        candidates = Candidates(part, customer, action, none, [""], 1.0 + none, fallback.copy())
        drop_ineligible(candidates, [rule], self.scopes)
        return candidates.reason > 0, (fallback >= 0) & (candidates.fallback < 0)


def _series(ids: pa.Array) -> pd.Series:
    return pd.Series(pd.array(ids, dtype="str"))
