"""The best set of every customer, against the contract's words tried out on every subset."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniopt.audit import asked, bound, contact, inputs, limits, objective, pairs, prices
from omniopt.audit.candidates import build, eliminate
from omniopt.audit.history import history_rows
from omniopt.audit.search import Asks, Bins, Parts, best
from omniopt.errors import Faults
from omniopt.project import Project

OFFERS = pd.DataFrame({"offer_id": ["A", "B", "C"], "category": ["x", "y", "x"], "tags": ["p;q", "q", ""]})
# Half of the e-mails arrive; the rest goes out as text messages, except to those who did not agree to them.
CHANNELS = pd.DataFrame(
    {
        "channel": ["call", "email", "sms"],
        "delivery_rate": [1.0, 0.5, 1.0],
        "fallback": [None, "sms", None],
        "requires_consent": [False, False, True],
    }
)
CUSTOMERS = pd.DataFrame({"customer_id": ["u", "v"], "household_id": ["h", "h"], "cap": [1, 2]})
CONSENTS = pd.DataFrame({"customer_id": ["u"], "channel": ["sms"], "purpose": ["all"], "granted": [True]})
# A Thursday; the horizon holds one whole week, and no whole month.
START, DAYS, LAST = datetime.date(2026, 11, 26), 9, 12

wheres = st.sampled_from(
    [
        None,
        {"channel": "sms"},
        {"channel": ["call", "email"]},
        {"offer.category": "x"},
        {"offer.tags": "q"},
        {"offer": "B"},
        {"customer.cap": 2},
    ]
)
pers = st.sampled_from(
    [[], [], ["offer"], ["offer.category"], ["offer.tags"], ["channel"], ["offer.category", "channel"]]
)
spans = st.sampled_from(
    [
        {},
        {"days": 1},
        {"days": 2},
        {"days": 4},
        {"days": 7},
        {"days": 30},
        {"every": "week"},
        {"every": "month"},
    ]
)
caps = st.sampled_from([0, 1, 1, 2, 2, 3, {"column": "customer.cap"}])
bounds = st.one_of(
    st.fixed_dictionaries({"max": caps}),
    st.fixed_dictionaries({"min": st.sampled_from([1, 2]), "min_or_none": st.just(True)}),
    st.fixed_dictionaries({"min": st.sampled_from([1, 1, 2]), "max": st.sampled_from([2, 3])}),
    st.fixed_dictionaries({"min": st.sampled_from([1, 2, {"column": "customer.cap"}])}),
)
contact_rules = st.builds(
    lambda *parts: {key: value for part in parts for key, value in part.items()},
    st.fixed_dictionaries(
        {
            "where": wheres,
            "per": pers,
            "history": st.booleans(),
            "count": st.sampled_from(["offers", "offers", "occasions", "channel", "offer.category"]),
            "unit": st.sampled_from(["customer", "customer", "household"]),
        }
    ),
    spans,
    bounds,
)
scopes = st.sampled_from(
    [{"channel": "call"}, {"channel": "sms"}, {"offer": "A"}, {"offer.category": "x"}, {}]
)
conflict_rules = st.fixed_dictionaries(
    {"first": scopes, "then": scopes, "days": st.integers(1, 8), "either_order": st.booleans()}
)
requirements = st.fixed_dictionaries(
    {"offer": scopes, "needs": scopes, "days": st.integers(0, 5), "order": st.sampled_from(["before", "any"])}
)
contacts = st.tuples(st.sampled_from("ABC"), st.sampled_from(["call", "email", "sms"]), st.integers(1, DAYS))
past = st.tuples(
    st.sampled_from("uv"), st.sampled_from("ABC"), st.sampled_from(["call", "email", "sms"]),
    st.integers(-8, DAYS), st.sampled_from(["sent", "bounced", "responded"]),
)  # fmt: skip


@st.composite
def cases(draw: Any) -> tuple[Project, list[float]]:
    rules = draw(st.lists(contact_rules, max_size=3))
    together = any(rule["unit"] == "household" for rule in rules)
    actions = draw(st.lists(contacts, min_size=1, max_size=4 if together else 6, unique=True))
    frame = pd.DataFrame(actions, columns=["offer_id", "channel", "date"])
    frame.insert(0, "action_id", [f"a{k}" for k in range(len(frame))])
    rows = [(c, a) for c in "uv" for a in frame["action_id"]]
    candidates = pd.DataFrame(rows, columns=["customer_id", "action_id"]).assign(value=0.0)
    happened = draw(st.lists(past, max_size=4, unique_by=lambda row: row[:4]))
    columns = ["customer_id", "offer_id", "channel", "date", "outcome"]
    history = pd.DataFrame(happened, columns=columns).astype({"date": "int64"})
    history["planned"] = history["date"] > 0
    policy: dict[str, Any] = {"objective": "value"}
    policy["contact"] = [{"name": f"r{k}", **rule} for k, rule in enumerate(rules)]
    for rule in policy["contact"]:
        # Members of a household would have to agree on a column.
        for side in ("min", "max"):
            if rule["unit"] == "household" and isinstance(rule.get(side), dict):
                rule[side] = 2
    for section, kind in (("conflicts", conflict_rules), ("requires", requirements)):
        listed = draw(st.lists(kind, max_size=2 if section == "conflicts" else 1))
        policy[section] = [{"name": f"{section} {k}", **rule} for k, rule in enumerate(listed)]
    project = Project.from_frames(
        policy, horizon={"start": START, "days": LAST}, multi_valued={"offer.tags": ";"}, offers=OFFERS,
        channels=CHANNELS, customers=CUSTOMERS, consents=CONSENTS, actions=frame, candidates=candidates,
        history=history,
    )  # fmt: skip
    worth = draw(st.lists(st.integers(-3, 9), min_size=len(rows), max_size=len(rows)))
    return project, [float(w) for w in worth]


# ---- the contract in plain words


ATTRIBUTES = {"A": ("x", ["p", "q"]), "B": ("y", ["q"]), "C": ("x", [])}
CAPS = {"u": 1, "v": 2}
Contact = tuple[str, str, str, int]  # customer, offer, channel, day


def legs(customer: str, offer: str, channel: str) -> list[dict]:
    """A contact on its channel, and on the one that stands in for it."""
    channels = [channel, "sms"] if channel == "email" and customer == "u" else [channel]
    category, tags = ATTRIBUTES[offer]
    return [
        {
            "channel": [c],
            "offer": [offer],
            "offer.category": [category],
            "offer.tags": tags,
            "customer.cap": [CAPS[customer]],
        }
        for c in channels
    ]


def holds(leg: dict, where: dict | None) -> bool:
    for name, wanted in (where or {}).items():
        if not set(leg[name]) & set(wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def groups_of(contact_legs: list[dict], where: dict | None, per: list[str]) -> set[tuple]:
    return {
        g
        for leg in contact_legs
        if holds(leg, where)
        for g in itertools.product(*(leg[name] for name in per))
    }


def windows(rule: dict) -> list[tuple[int, int, bool]]:
    """First day, last day, and whether the window lies wholly inside the horizon."""
    if "days" in rule:
        starts = range(2 - rule["days"], DAYS + 1)
        return [(t, t + rule["days"] - 1, 1 <= t and t + rule["days"] - 1 <= LAST) for t in starts]
    if rule.get("every") == "week":
        return [(-2, 4, False), (5, 11, True), (12, 18, False)]
    if rule.get("every") == "month":
        return [(-24, 5, False), (6, 36, False)]
    return [(-1000, 1000, True)]


def number(rule: dict, new: list[Contact], old: list[Contact]) -> int:
    """How many things the rule counts."""
    if rule["count"] == "occasions":
        return len({c[2:] for c in new + old})
    if rule["count"] == "channel":
        return len({c[2] for c in new + old})
    if rule["count"] == "offer.category":
        return len({ATTRIBUTES[c[1]][0] for c in new + old})
    return len(new + old)


def contact_kept(
    rule: dict, unit: str, could: list[Contact], chosen: list[Contact], happened: list[Contact]
) -> bool:
    """Whether the contacts of a unit keep a contact rule, window by window."""
    where, per = rule["where"], rule["per"]
    counts = happened if rule["history"] and ("days" in rule or "every" in rule) else []

    def told(contacts: list[Contact], both: bool = True) -> list[tuple[set[tuple], Contact]]:
        return [(groups_of(legs(*c[:3])[: 2 if both else 1], where, per), c) for c in contacts]

    mine, theirs, living = told(chosen), told(counts, both=False), told(could)
    asked = any(where != {"customer.cap": 2} or CAPS[member] == 2 for member in unit)
    for group in {g for gs, _ in living for g in gs} | ({()} if not per and asked else set()):
        for begin, end, inside in windows(rule):
            new = [c for gs, c in mine if group in gs and begin <= c[3] <= end]
            old = [c for gs, c in theirs if group in gs and begin <= c[3] <= end]
            bound = {
                side: CAPS[unit] if isinstance(rule.get(side), dict) else rule.get(side)
                for side in ("min", "max")
            }
            if new and bound["max"] is not None and number(rule, new, old) > bound["max"]:
                return False
            if inside and asked and bound["min"] is not None and (new or old or not rule.get("min_or_none")):
                if number(rule, new, old) < bound["min"]:
                    return False
    return True


def pairs_kept(policy: dict, chosen: list[Contact], happened: list[Contact]) -> bool:
    """Whether the contacts of a customer keep every conflict and have what they need."""
    everything = [(c, False) for c in chosen] + [(c, True) for c in happened]
    for rule in policy["conflicts"]:
        for (i, i_past), (j, j_past) in itertools.permutations(everything, 2):
            # History counts as the first one; where either order is forbidden, as either.
            if i_past and j_past or j_past and not rule["either_order"]:
                continue
            first = any(holds(leg, rule["first"]) for leg in legs(*i[:3])[: 1 if i_past else 2])
            then = any(holds(leg, rule["then"]) for leg in legs(*j[:3])[: 1 if j_past else 2])
            apart = j[3] - i[3]
            if rule["either_order"]:
                apart = abs(apart)
            if first and then and 0 <= apart < rule["days"]:
                return False
    for rule in policy["requires"]:
        for j in chosen:
            if not any(holds(leg, rule["offer"]) for leg in legs(*j[:3])):
                continue
            others = [c for c in chosen if c != j] + happened
            gaps = [j[3] - c[3] for c in others if holds(legs(*c[:3])[0], rule["needs"])]
            if not any(0 <= (abs(g) if rule["order"] == "any" else g) <= rule["days"] for g in gaps):
                return False
    return True


def kept(policy: dict, unit: str, could: list[Contact], chosen: list[Contact], old: list[Contact]) -> bool:
    """Whether the contacts of a unit (one customer, or two of a household) keep every rule."""
    for customer in unit:
        mine, past_of = [c for c in chosen if c[0] == customer], [c for c in old if c[0] == customer]
        if not pairs_kept(policy, mine, past_of):
            return False
        for rule in policy["contact"]:
            could_of = [c for c in could if c[0] == customer]
            if rule["unit"] == "customer" and not contact_kept(rule, customer, could_of, mine, past_of):
                return False
    return all(
        contact_kept(rule, unit, could, chosen, old)
        for rule in policy["contact"]
        if rule["unit"] == "household"
    )


def subsets(size: int) -> Iterable[tuple[int, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(range(size), k) for k in range(size + 1))


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_search_finds_what_trying_every_subset_finds(case: Any, random: Any) -> None:
    project, worth = case
    policy, tables = project.policy, project.read()
    world = inputs.build_world(tables, dict(project.spec.multi_valued), START, LAST)
    given_inputs = inputs.Inputs(tables, policy, world, [], [])
    candidates = build(given_inputs, None)
    eliminate(given_inputs, candidates)
    living = np.flatnonzero(candidates.reason == 0)
    candidates, value = candidates.take(living), np.array(worth)[living]
    rows, counted = history_rows(given_inputs)
    rules = bound.Rules(
        [contact.read_contact(given_inputs, rule) for rule in policy["contact"]],
        [pairs.read_conflict(rule) for rule in policy["conflicts"]],
        [pairs.read_requires(given_inputs, rule) for rule in policy["requires"]],
    )
    ids, size = world.ids, len(candidates)
    contacts_of = [
        (ids["customer"][c], ids["offer"][o], ids["channel"][ch], int(day))
        for c, o, ch, day in zip(
            candidates.rows.customer, candidates.rows.offer, candidates.rows.channel, candidates.rows.day,
            strict=True,
        )
    ]  # fmt: skip
    happened = [
        (row.customer_id, row.offer_id, row.channel, int(row.date))
        for row in tables.history.itertuples()
        if row.planned or row.outcome != "bounced"
    ]
    units = ["uv"] if any(rule["unit"] == "household" for rule in policy["contact"]) else ["u", "v"]
    total, locked, advantage = 0.0, np.zeros(size, dtype=bool), np.zeros(size)
    chosen, true, possible = np.zeros(size, dtype=bool), True, True
    for unit in units:
        at = np.array([k for k in range(size) if contacts_of[k][0] in unit], dtype=np.int64)
        mine, before = [contacts_of[k] for k in at], [h for h in happened if h[0] in unit]
        sets = [s for s in subsets(len(at)) if kept(policy, unit, mine, [mine[k] for k in s], before)]
        some = random.choice(sets) if sets and random.random() < 0.5 else tuple(
            k for k in range(len(at)) if random.random() < 0.4
        )  # fmt: skip
        chosen[at[list(some)]] = True
        true &= some in sets
        if not sets:
            possible = False
            continue
        lock = set(random.choice(sets)) if random.random() < 0.3 else set()
        locked[at[sorted(lock)]] = True
        worths = {s: value[at[list(s)]].sum() for s in sets if lock <= set(s)}
        top = max(worths.values())
        total += top
        for k in range(len(at)):
            without = [w for s, w in worths.items() if k not in s]
            # There is no telling what a contact that cannot be done without is worth.
            advantage[at[k]] = np.nan if k in lock or not without else top - max(without)

    faults = Faults()
    for read_rule in rules.contact:
        contact.reached(given_inputs, candidates, chosen, read_rule, rows.take(counted), faults)
        asked.missed(given_inputs, candidates, chosen, read_rule, rows.take(counted), faults)
    items = np.flatnonzero(chosen)
    for conflict in rules.conflicts:
        pairs.broken(given_inputs, candidates, items, conflict, rows.take(counted), faults)
    for requirement in rules.requires:
        pairs.unserved(given_inputs, candidates, items, requirement, rows.take(counted), faults)
    assert (len(faults) == 0) == true, list(map(str, faults))

    every = np.arange(size)
    given_all = (given_inputs, candidates, value, locked)
    if not possible:
        locked[:] = False
        assert bound.search(*given_all, every, rules, rows.take(counted)).cut == 0
        return
    found = bound.search(*given_all, every, rules, rows.take(counted))
    assert found.cut == 0 and not found.impossible
    assert found.total == pytest.approx(total)
    assert found.advantage == pytest.approx(advantage, nan_ok=True)
    # Cut off at once, the search still gives an upper bound.
    rough = bound.search(*given_all, every[:0], rules, rows.take(counted), limit=0)
    assert rough.total >= total - 1e-9


def test_chunks_never_part_a_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bound, "CHUNK", 2)
    lots = list(bound._chunks(np.array([0, 0, 0, 1, 2, 2, 3, 3, 3, 3]), np.array([0, 2, 3, 4, 5, 6, 9])))
    assert [list(items) for items in lots] == [[0, 2], [3, 4, 5], [6, 9]]
    # Members of a household need not stand next to each other.
    lots = list(bound._chunks(np.array([1, 0, 1, 0]), np.arange(4)))
    assert [list(items) for items in lots] == [[1, 3], [0, 2]]


def test_a_price_of_the_wrong_sign_counts_as_none() -> None:
    faults = Faults()
    tables = {
        "actions": pd.DataFrame({"action_id": ["a", "b"], "offer_id": "o", "channel": "email", "date": 1}),
        "candidates": pd.DataFrame({"customer_id": "u", "action_id": ["a", "b"], "value": [5.0, 3.0]}),
    }
    read = Project.from_frames({"objective": "value"}, **tables).read()
    given_inputs = inputs.Inputs(read, {}, inputs.build_world(read, {}, None, None), [], [])
    candidates = build(given_inputs, None)
    limit = limits.read(given_inputs, candidates, {"name": "seats", "max": 1})
    (rank,) = objective.read_ranks("value")
    found = prices.priced(rank, [], [limit], [(limit, limit.blocks[0], np.array([-4.0]))], faults)
    assert list(found.worth(given_inputs.world, candidates)) == [5.0, 3.0] and found.constant == 0.0
    assert "rule 'seats': the price -4 needs a minimum" in str(next(iter(faults)))


def test_the_search_of_a_hard_part_ends() -> None:
    """Thirty contacts in windows that all overlap: cut off, the relaxation stands in and is no less."""
    size = 30
    rng = np.random.default_rng(3)
    worth = np.sort(rng.uniform(1, 2, size))[::-1].copy()
    start, zeros, empty = np.arange(size + 1), np.zeros(size + 1, dtype=np.int64), np.empty(0, dtype=np.int64)
    window_start = np.append(0, np.cumsum(np.full(size, 3)))
    window = np.concatenate([rng.choice(12, 3, replace=False) for _ in range(size)])
    parts = Parts(
        np.array([0, size]), worth, start, np.arange(size), window_start, window,
        np.full(12, 2), zeros, empty,
        Bins(zeros[:2], empty, zeros[:1], empty, np.full(size, -1)),
        Asks(
            np.full(size, -1), zeros[:2], empty, empty, empty, zeros[:1], empty, empty, zeros, empty,
        ),
    )  # fmt: skip
    one, none = np.array([0]), np.array([-1])
    exact, sure = best(parts, one, none, limit=10_000_000)
    rough, cut = best(parts, one, none, limit=100)
    assert sure.all() and not cut.any()
    assert rough[0] >= exact[0]
    again, _ = best(parts, one, none, limit=10_000_000)
    assert again[0] == exact[0]
