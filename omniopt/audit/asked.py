"""What contact rules and requirements ask for: windows to be filled, and contacts that need another one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from omniopt.audit.arrays import expand
from omniopt.audit.candidates import Candidates
from omniopt.audit.contact import (
    ContactRule,
    Tokens,
    items_of,
    kinds_in,
    name_of,
    spans,
    things,
    tokens,
)
from omniopt.audit.inputs import Inputs
from omniopt.audit.rounding import CAP
from omniopt.audit.scope import Rows, Unchecked, matches
from omniopt.errors import Faults

# So many windows are named one by one.
NAMED = 5


@dataclass
class Demands:
    """Rows that ask for a number of different things; of a row's things each counts once.

    Attributes
    ----------
    need : ndarray of int
        How many things each row asks for, beyond those that are there in any case.
    always : ndarray of bool
        Rows that ask whatever is chosen; the others ask if one of their callers is chosen.
    item, thing, row : ndarray of int
        Items that are (also) a thing of a row. Things of different rows bear different numbers.
    caller, called : ndarray of int
        Items that make a row ask, and the row.
    things : int
        How many things there are.
    """

    need: np.ndarray
    always: np.ndarray
    item: np.ndarray
    thing: np.ndarray
    row: np.ndarray
    caller: np.ndarray
    called: np.ndarray
    things: int

    @classmethod
    def join(cls, parts: list[Demands]) -> Demands:
        """Several lots as one."""
        rows = np.append(0, np.cumsum([len(part.need) for part in parts])).astype(np.int64)
        things = np.append(0, np.cumsum([part.things for part in parts])).astype(np.int64)
        empty = np.empty(0, dtype=np.int64)

        def all_of(name: str, by: np.ndarray | None = None) -> np.ndarray:
            shifted = [getattr(p, name) + (0 if by is None else by[k]) for k, p in enumerate(parts)]
            return np.concatenate([empty, *shifted]).astype(np.int64)

        return cls(
            all_of("need"), all_of("always").astype(bool), all_of("item"), all_of("thing", things),
            all_of("row", rows), all_of("caller"), all_of("called", rows), int(things[-1]),
        )  # fmt: skip

    def among(self, mask: np.ndarray) -> Demands:
        """The same for the items under a mask, counted anew."""
        number = np.cumsum(mask) - 1
        there, calls = mask[self.item], mask[self.caller]
        return Demands(
            self.need, self.always, number[self.item[there]], self.thing[there], self.row[there],
            number[self.caller[calls]], self.called[calls], self.things,
        )  # fmt: skip


def owners(inputs: Inputs, rule: ContactRule) -> np.ndarray:
    """Units that a minimum speaks of: one of their customers is known and in the scope, contacts or not."""
    key = ("owners", id(rule))
    if key in inputs.memo:
        return inputs.memo[key]
    customer = inputs.known()
    where = {k: v for k, v in (rule.where or {}).items() if str(k).partition(".")[0] == "customer"}
    nothing = np.full(len(customer), -1)
    rows = Rows(customer, nothing, nothing, nothing, np.ones(len(customer), dtype=np.int64))
    inputs.memo[key] = np.unique(rule.owner[customer[matches(inputs.world, rows, where)]])
    return inputs.memo[key]


def missed(
    inputs: Inputs, candidates: Candidates, chosen: np.ndarray, rule: ContactRule, past: Rows, faults: Faults
) -> float | None:
    """Every window of every unit that a minimum speaks of; one that holds too little is a fault.

    Returns
    -------
    float or None
        How far the emptiest of them lies above the minimum; None where there is none.
    """
    short = Short()
    short.look(inputs, candidates, chosen, rule, past)
    short.tell(rule, faults)
    return short.spare


@dataclass
class Short:
    """Windows that hold too little, gathered lot by lot.

    Attributes
    ----------
    spare : float or None
        How far the emptiest window lies above the minimum; None where there is none.
    words : list of str
        On the first few that hold too little.
    number : int
        How many do.
    """

    spare: float | None = None
    words: list[str] = field(default_factory=list)
    number: int = 0

    def look(
        self, inputs: Inputs, candidates: Candidates, chosen: np.ndarray, rule: ContactRule, past: Rows
    ) -> None:
        """Look at every window of some units, all of whose candidates these are."""
        if not rule.asks():
            return
        owner, least, number, speaks = held(inputs, candidates, chosen, rule, past)
        begin, end = spans(inputs.world, rule)
        over = number - np.ceil(least - CAP)[:, None]
        units, spots = np.nonzero(speaks & (over < 0))
        self.number += len(units)
        for unit, at in zip(units[: NAMED - len(self.words)].tolist(), spots.tolist(), strict=False):
            who, count = name_of(inputs, rule, int(owner[unit])), int(number[unit, at])
            when = "in the horizon"
            if rule.days is not None or rule.every is not None:
                first, last = (inputs.world.date(int(side[at])) for side in (begin, end))
                when = f"from {first} to {last}"
            least_words = f"at least {least[unit]:g}{' or none' if rule.or_none else ''}"
            self.words.append(f"broken: {who} has {count} {things(rule)} {when}, {least_words}")
        if speaks.any():
            spare = float(over[speaks].min())
            self.spare = spare if self.spare is None else min(spare, self.spare)

    def tell(self, rule: ContactRule, faults: Faults) -> None:
        """A fault for each of the first few, and one for how many more there are."""
        for words in self.words:
            faults.add(words, rule=rule.name)
        if self.number > len(self.words):
            faults.add(f"broken in {self.number - len(self.words)} more windows", rule=rule.name)


def held(
    inputs: Inputs, candidates: Candidates, chosen: np.ndarray, rule: ContactRule, past: Rows
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a rule's windows hold of what is chosen, for every unit and group that its minimum speaks of.

    Returns
    -------
    owner : ndarray of int, shape (k,)
        The unit.
    least : ndarray of float, shape (k,)
        The minimum.
    number : ndarray of int, shape (k, w)
        How much each window holds.
    speaks : ndarray of bool, shape (k, w)
        Whether the minimum speaks of the window.
    """
    told = tokens(inputs, candidates, np.arange(len(candidates)), rule, past)
    # Only what is chosen counts, but the groups are those of all living candidates.
    kept = np.zeros(len(told.key), dtype=bool)
    kept[told.token_of[chosen[told.item_of]]] = True
    asked = owners(inputs, rule)
    keys = asked * told.labels
    if rule.per:
        keys = np.unique(told.key[told.item])
        keys = keys[np.isin(keys // told.labels, asked)]
    owner = keys // told.labels
    least = rule.least[owner]
    if np.isnan(least).any():
        raise Unchecked("the min is missing for a customer")
    begin, end = spans(inputs.world, rule)
    number = np.zeros((len(keys), len(begin)), dtype=np.int64)
    if number.size:
        number = _filled(told, kept | told.base, keys, begin, end)
    # None is none at all: a window that holds something of the past is not empty.
    speaks = number > 0 if rule.or_none else np.ones(number.shape, dtype=bool)
    return owner, least, number, speaks & (least > 0)[:, None]  # a minimum of 0 asks for nothing


def _filled(
    told: Tokens, which: np.ndarray, keys: np.ndarray, begin: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Keys × windows: how many different kinds of these tokens each holds."""
    at = np.flatnonzero(which & np.isin(told.key, keys))
    row = np.searchsorted(keys, told.key[at])
    # Windows are sorted by their first and by their last day alike.
    low, high = np.searchsorted(end, told.day[at]), np.searchsorted(begin, told.day[at], side="right")
    window, of = expand(low, np.maximum(low, high))
    cell = row[of] * len(begin) + window
    # A kind counts once in a window, on however many days it lies there.
    kind = told.kind[at][of] if not told.once else at[of]
    width = int(kind.max(initial=0)) + 1
    seen = np.unique(cell * width + kind) // width
    return np.bincount(seen, minlength=len(keys) * len(begin)).reshape(len(keys), len(begin))


def demands(
    inputs: Inputs,
    candidates: Candidates,
    items: np.ndarray,
    rule: ContactRule,
    past: Rows,
    fixed: np.ndarray,
) -> Demands:
    """What a rule asks of the units of some items, which are all candidates of their units.

    Units and windows without candidates are left out: nothing could be chosen for them.
    """
    told = tokens(inputs, candidates, items, rule, past, fixed)
    begin, end = spans(inputs.world, rule)
    first = np.flatnonzero(np.append(True, told.key[1:] != told.key[:-1])) if len(told.key) else np.arange(0)
    stop = np.append(first[1:], len(told.key))
    unit = told.owner[first]
    here = np.isin(unit, owners(inputs, rule)) & (rule.least[unit] > 0)
    first, stop = first[here], stop[here]
    span = int(told.day.max(initial=0)) - int(told.day.min(initial=0)) + 1
    base = int(told.day.min(initial=0))
    rank = np.cumsum(np.append(False, told.key[1:] != told.key[:-1])) if len(told.key) else told.key
    time = rank * (3 * span) + (told.day - base + span)
    of = rank[first] * (3 * span)
    edges = [np.clip(side - base + span, 0, 3 * span - 1) for side in (begin, end)]
    low = np.searchsorted(time, (of[:, None] + edges[0]).ravel())
    high = np.searchsorted(time, (of[:, None] + edges[1]).ravel(), side="right")
    # Windows that hold the same are one.
    pair = np.unique(np.stack([low, high], axis=1)[high > low], axis=0)
    low, high = pair[:, 0], pair[:, 1]
    need = np.ceil(rule.least[told.owner[low]] - CAP).astype(np.int64) - kinds_in(told, low, high, told.base)
    ask = need > 0
    low, high, need = low[ask], high[ask], need[ask]
    at, row = expand(low, high)
    # A kind is a thing of a window once; one that is there in any case is none.
    width = int(told.kind.max(initial=0)) + 1
    tag = row * width + told.kind[at] if not told.once else row * max(len(told.key), 1) + at
    number, thing = np.unique(tag, return_inverse=True)
    there = np.zeros(len(number), dtype=bool)
    there[thing[told.base[at]]] = True
    item, which = items_of(told, at)
    row, thing = row[which], thing[which]
    held = np.ones(len(need), dtype=bool)
    if rule.or_none:
        # A locked contact in the window, or one of the past, makes it ask already.
        held = kinds_in(told, low, high, told.base) > 0
    calls = ~held[row]
    fresh = ~there[thing]
    return Demands(need, held, item[fresh], thing[fresh], row[fresh], item[calls], row[calls], len(number))
