"""Control groups and contacts at random: who is in which by the policy's keys, and what was drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from omniopt.audit import asked, contact, pairs
from omniopt.audit.arrays import code
from omniopt.audit.candidates import Candidates
from omniopt.audit.history import history_rows
from omniopt.audit.inputs import Inputs
from omniopt.audit.rounding import CAP
from omniopt.audit.scope import Rows, Unchecked, canonical, known_keys
from omniopt.audit.siphash import chances
from omniopt.audit.units import households

CONTROL, EXPLORATION = "control group", "exploration"
CONTROL_KEYS = {"share", "per_offer", "by", "key", "unit"}


@dataclass
class Arms:
    """Groups of customers by position.

    Attributes
    ----------
    label : pa.Array
        Id of the unit that each customer was drawn with, and `unit` its number.
    word : str
        "customer" or "household".
    control, explored, pinned : ndarray of bool
        No contact; one contact at random; not to be explored, as people insist on a contact.
    offers : dict of int to ndarray of bool
        By offer: no contact with it.
    said : dict
        The policy's ``control`` and ``explore``.
    """

    label: pa.Array
    unit: np.ndarray
    word: str
    control: np.ndarray
    explored: np.ndarray
    pinned: np.ndarray
    offers: dict[int, np.ndarray]
    said: dict[str, Mapping[str, Any]]


@dataclass
class Drawn:
    """Contacts drawn at random: `Inputs.key`, ascending, and probability; all customers of their units."""

    key: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    probability: np.ndarray = field(default_factory=lambda: np.empty(0))
    members: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @classmethod
    def join(cls, parts: list[Drawn]) -> Drawn:
        """Several lots as one."""
        key = np.concatenate([part.key for part in parts])
        order = np.argsort(key)
        probability = np.concatenate([part.probability for part in parts])
        return cls(key[order], probability[order], np.concatenate([part.members for part in parts]))


def read(inputs: Inputs) -> Arms | None:
    """The groups that a policy's ``learning`` makes; None where it says nothing.

    Raises
    ------
    Unchecked
        If it says anything that this check does not know.
    """
    learning = inputs.policy.get("learning")
    if learning is None or learning == {}:
        return None
    if not isinstance(learning, Mapping):
        raise Unchecked("learning is no mapping")
    known_keys(learning, {"control", "explore"}, "learning")
    control, explore = (learning.get(name) or {} for name in ("control", "explore"))
    known_keys(control, CONTROL_KEYS, "control")
    known_keys(explore, {"share", "key"}, "explore")
    world = inputs.world
    ids = pa.array(world.ids["customer"].array)
    unit, label, word = np.arange(len(ids)), ids, "customer"
    if _by_household(inputs, control):
        unit, word = households(inputs), "household"
        names = [canonical(name) for name in world.frames["customer"]["household_id"]]
        label = pa.array(names, pa.large_string()).fill_null("")
    none = np.zeros(len(ids), dtype=bool)
    arms = Arms(label, unit, word, none, none, none, {}, {"control": control, "explore": explore})
    key = str(control.get("key", CONTROL.split()[0]))
    if "share" in control:
        arms.control = chances(label, key) < _share(control["share"])
    if "per_offer" in control:
        offers = code(world.ids["offer"], world.frames["action"]["offer_id"])
        for offer in np.unique(offers[offers >= 0]).tolist():
            name = str(world.ids["offer"][offer])
            arms.offers[offer] = chances(label, key, name) < _share(control["per_offer"])
    insisted = code(world.ids["customer"], pd.array([lock[0] for lock in inputs.locks], dtype="str"))
    arms.pinned = np.isin(unit, unit[insisted[insisted >= 0]])
    if explore:
        wanted = chances(label, str(explore.get("key", "explore")), "who") < _share(explore.get("share"))
        arms.explored = wanted & ~arms.control & ~arms.pinned
    return arms


def _by_household(inputs: Inputs, control: Mapping[str, Any]) -> bool:
    rules = inputs.policy.get("contact") or []
    units = [rule.get("unit") for rule in rules if isinstance(rule, Mapping)]
    return "household" in [control.get("unit"), *units]


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise Unchecked(f"{value!r} is no share")
    return float(value)


def strata(inputs: Inputs) -> np.ndarray:
    """Values of the customers' columns that the control group is drawn by, joined by commas."""
    world = inputs.world
    arms = inputs.arms
    assert arms is not None
    by = arms.said["control"].get("by") or []
    columns = []
    for name in [by] if isinstance(by, str) else by:
        root, _, column = str(name).partition(".")
        if root != "customer" or column not in world.frames["customer"]:
            raise Unchecked(f"{name!r} is no column of customers")
        columns.append(world.frames["customer"][column].astype("str").fillna(""))
    told = pd.Series("", range(len(world.ids["customer"])), dtype="str")
    for number, values in enumerate(columns):
        told = values if number == 0 else told.str.cat(values, sep=", ")
    return told.to_numpy(dtype=object)


def take_out(inputs: Inputs, candidates: Candidates) -> Drawn:
    """Drop the candidates of those who are held out, and those that give way to a draw; return the draws."""
    arms = inputs.arms
    if arms is None:
        return Drawn()
    rows = candidates.rows
    candidates.drop(arms.control[rows.customer], CONTROL)
    for offer, out in arms.offers.items():
        name = f"{CONTROL} of offer {inputs.world.ids['offer'][offer]}"
        candidates.drop((rows.offer == offer) & out[rows.customer], name)
    if not arms.said["explore"]:
        return Drawn()
    living = np.flatnonzero((candidates.reason == 0) & arms.explored[rows.customer])
    some = candidates.take(living)
    unit = arms.unit[some.rows.customer]
    allowed = np.flatnonzero(_alone(inputs, some, arms.unit))
    order = allowed[np.argsort(unit[allowed], kind="stable")]
    whose, first, count = np.unique(unit[order], return_index=True, return_counts=True)
    names = arms.label.take(pa.array(some.rows.customer[order[first]]))
    pick = chances(names, str(arms.said["explore"].get("key", "explore")), "what") * count
    chosen = order[first + pick.astype(np.int64)]
    gone = np.zeros(len(rows), dtype=bool)
    gone[living[np.isin(unit, whose)]] = True
    gone[living[chosen]] = False
    candidates.drop(gone, EXPLORATION)
    key = inputs.key(some.rows.take(chosen))
    members = np.flatnonzero(arms.explored & np.isin(arms.unit, whose))
    return Drawn.join([Drawn(key, 1.0 / count, members)])


def _alone(inputs: Inputs, c: Candidates, unit_of: np.ndarray) -> np.ndarray:
    """Candidates that keep every rule for customers if they are all that their unit gets."""
    inputs = replace(inputs, memo={})  # what is kept there is found by rules that are read for this alone
    unit = unit_of[c.rows.customer]
    order = np.argsort(unit, kind="stable")
    rank = np.empty(len(unit), dtype=np.int64)
    _, first, count = np.unique(unit[order], return_index=True, return_counts=True)
    rank[order] = np.arange(len(unit)) - np.repeat(first, count)
    policy = inputs.policy
    rules = [contact.read_contact(inputs, rule) for rule in policy.get("contact") or []]
    conflicts = [pairs.read_conflict(rule) for rule in policy.get("conflicts") or []]
    requires = [pairs.read_requires(inputs, rule) for rule in policy.get("requires") or []]
    rows, counts = history_rows(inputs)
    past = rows.take(counts)
    allowed = np.ones(len(c), dtype=bool)
    for k in range(int(rank.max(initial=-1)) + 1):
        items = np.flatnonzero(rank == k)
        broken = _broken(inputs, c, items, rules, past, unit_of)
        for conflict in conflicts:
            broken.append(unit[items[pairs.pairs(inputs, c, items, conflict, past)[2]]])
        for requirement in requires:
            needing, one, _ = pairs.needed(inputs, c, items, requirement, past)
            broken.append(unit[items[np.setdiff1d(needing, one)]])
        allowed[items] = ~np.isin(unit[items], np.concatenate([np.empty(0, dtype=np.int64), *broken]))
    return allowed


def _broken(
    inputs: Inputs, c: Candidates, items: np.ndarray, rules: list[contact.ContactRule], past: Rows,
    unit_of: np.ndarray,
) -> list[np.ndarray]:  # fmt: skip
    """Units whose contact rules some chosen items break."""
    chosen = np.zeros(len(c), dtype=bool)
    chosen[items] = True
    found = []
    for rule in rules:
        of_owner = np.full(int(rule.owner.max(initial=0)) + 1, -1)
        of_owner[rule.owner[:-1]] = unit_of
        seen = contact.windows(inputs, contact.tokens(inputs, c, items, rule, past), rule)
        found.append(of_owner[seen.owner[seen.number > seen.cap + CAP]])
        if rule.asks():
            owner, least, number, speaks = asked.held(inputs, c, chosen, rule, past)
            short = speaks & (number < np.ceil(least - CAP)[:, None])
            found.append(of_owner[owner[short.any(axis=1)]])
    return found


def entries(inputs: Inputs, has: np.ndarray, dropped: Counter[str], drawn: Drawn) -> list[dict[str, Any]]:
    """What the certificate has to say of each group.

    Parameters
    ----------
    has : ndarray of int
        Customers with a candidate before any was dropped.
    """
    arms = inputs.arms
    if arms is None:
        return []
    control, explore = arms.said["control"], arms.said["explore"]
    groups: list[tuple[str, Any, np.ndarray, dict[str, Any]]] = []
    if "share" in control:
        by = control.get("by") or []
        groups.append((CONTROL, control["share"], arms.control, {"by": [by] if isinstance(by, str) else by}))
    for offer, out in arms.offers.items():
        name = str(inputs.world.ids["offer"][offer])
        groups.append((f"{CONTROL} of offer {name}", control["per_offer"], out, {"offer": name}))
    if explore:
        left = np.setdiff1d(has[arms.explored[has]], drawn.members)
        counts = {"drawn": len(drawn.key), "without_draw": len(left)}
        groups.append((EXPLORATION, explore["share"], arms.explored, counts))
    return [
        {"name": name, "share": share, "unit": arms.word, "customers": len(has),
         "in_group": int(who[has].sum()), "dropped": dropped[name], **own}
        for name, share, who, own in groups
    ]  # fmt: skip
