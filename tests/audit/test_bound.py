"""The best set of every customer, against the contract's words tried out on every subset."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniopt.audit import bound, contact, inputs
from omniopt.audit.candidates import build, eliminate, history_rows
from omniopt.audit.scope import Rows
from omniopt.audit.search import Parts, best
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
CUSTOMERS = pd.DataFrame({"customer_id": ["u", "v"], "cap": [1, 2]})
CONSENTS = pd.DataFrame({"customer_id": ["u"], "channel": ["sms"], "purpose": ["all"], "granted": [True]})
DAYS = 9

wheres = st.sampled_from(
    [
        None,
        {"channel": "sms"},
        {"channel": ["call", "email"]},
        {"offer.category": "x"},
        {"offer.tags": "q"},
        {"offer": "B"},
    ]
)
pers = st.sampled_from(
    [[], ["offer"], ["offer.category"], ["offer.tags"], ["channel"], ["offer.category", "channel"]]
)
contact_rules = st.fixed_dictionaries(
    {
        "where": wheres,
        "per": pers,
        "max": st.sampled_from([0, 1, 1, 2, 2, 3, {"column": "customer.cap"}]),
        "days": st.sampled_from([None, 1, 2, 4, 7, 30]),
        "history": st.booleans(),
        "count": st.sampled_from(["offers", "occasions"]),
    }
)
scopes = st.sampled_from(
    [{"channel": "call"}, {"channel": "sms"}, {"offer": "A"}, {"offer.category": "x"}, {}]
)
conflict_rules = st.fixed_dictionaries(
    {"first": scopes, "then": scopes, "days": st.integers(1, 8), "either_order": st.booleans()}
)
contacts = st.tuples(st.sampled_from("ABC"), st.sampled_from(["call", "email", "sms"]), st.integers(1, DAYS))
past = st.tuples(
    st.sampled_from("uv"), st.sampled_from("ABC"), st.sampled_from(["call", "email", "sms"]),
    st.integers(-8, DAYS), st.sampled_from(["sent", "bounced", "responded"]),
)  # fmt: skip


@st.composite
def cases(draw: Any) -> tuple[Project, list[dict], list[dict], list[float]]:
    actions = draw(st.lists(contacts, min_size=1, max_size=6, unique=True))
    frame = pd.DataFrame(actions, columns=["offer_id", "channel", "date"])
    frame.insert(0, "action_id", [f"a{k}" for k in range(len(frame))])
    rows = [(c, a) for c in "uv" for a in frame["action_id"]]
    candidates = pd.DataFrame(rows, columns=["customer_id", "action_id"]).assign(value=0.0)
    happened = draw(st.lists(past, max_size=4, unique_by=lambda row: row[:4]))
    columns = ["customer_id", "offer_id", "channel", "date", "outcome"]
    history = pd.DataFrame(happened, columns=columns).astype({"date": "int64"})
    history["planned"] = history["date"] > 0
    policy: dict[str, Any] = {"objective": "value"}
    policy["contact"] = [
        {"name": f"r{k}", **{key: v for key, v in rule.items() if v is not None}}
        for k, rule in enumerate(draw(st.lists(contact_rules, max_size=3)))
    ]
    policy["conflicts"] = [
        {"name": f"c{k}", **rule} for k, rule in enumerate(draw(st.lists(conflict_rules, max_size=2)))
    ]
    project = Project.from_frames(
        policy, multi_valued={"offer.tags": ";"}, offers=OFFERS, channels=CHANNELS, customers=CUSTOMERS,
        consents=CONSENTS, actions=frame, candidates=candidates, history=history,
    )  # fmt: skip
    worth = draw(st.lists(st.integers(-3, 9), min_size=len(rows), max_size=len(rows)))
    return project, policy["contact"], policy["conflicts"], [float(w) for w in worth]


# ---- the contract in plain words


ATTRIBUTES = {"A": ("x", ["p", "q"]), "B": ("y", ["q"]), "C": ("x", [])}


def legs(customer: str, offer: str, channel: str) -> list[dict]:
    """A contact on its channel, and on the one that stands in for it."""
    channels = [channel, "sms"] if channel == "email" and customer == "u" else [channel]
    category, tags = ATTRIBUTES[offer]
    return [
        {"channel": [c], "offer": [offer], "offer.category": [category], "offer.tags": tags} for c in channels
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


Contact = tuple[str, str, str, int]  # customer, offer, channel, day


def allowed(chosen: list[Contact], happened: list[Contact], rules: list[dict], conflicts: list[dict]) -> bool:
    """Whether a customer's contacts keep every rule, window by window and pair by pair."""
    for rule in rules:
        where, per, length = rule.get("where"), rule["per"], rule.get("days")
        cap = rule["max"]
        counts = happened if length is not None and rule["history"] else []
        mine = [(groups_of(legs(*c[:3]), where, per), c) for c in chosen]
        theirs = [(groups_of(legs(*c[:3])[:1], where, per), c) for c in counts]
        for group in set().union(*(g for g, _ in mine)):
            # Every window that can hold one of the contacts.
            for begin in range(2 - length, DAYS + 1) if length is not None else [-1000]:
                end = begin + length if length is not None else 1000
                new = [c for g, c in mine if group in g and begin <= c[3] < end]
                old = [c for g, c in theirs if group in g and begin <= c[3] < end]
                number = len({c[2:] for c in new + old}) if rule["count"] == "occasions" else len(new + old)
                most = {"u": 1, "v": 2}[chosen[0][0]] if isinstance(cap, dict) else cap
                if new and number > most:
                    return False
    everything = [(c, False) for c in chosen] + [(c, True) for c in happened]
    for rule in conflicts:
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
    return True


def subsets(size: int) -> Iterable[tuple[int, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(range(size), k) for k in range(size + 1))


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_search_finds_what_trying_every_subset_finds(case: Any, random: Any) -> None:
    project, rules, conflicts, worth = case
    tables = project.read()
    world = inputs.build_world(tables, dict(project.spec.multi_valued), None, None)
    given_inputs = inputs.Inputs(tables, project.policy, world, [], [])
    candidates = build(given_inputs, None)
    eliminate(given_inputs, candidates)
    kept = np.flatnonzero(candidates.reason == 0)
    candidates = candidates.take(kept)
    value = np.array(worth)[kept]
    rows, counted = history_rows(given_inputs)
    read_rules = [contact.read_contact(given_inputs, rule) for rule in rules]
    read_conflicts = [contact.read_conflict(rule) for rule in conflicts]

    total, locked, advantage = 0.0, np.zeros(len(candidates), dtype=bool), np.zeros(len(candidates))
    ids = world.ids
    happened = [
        (row.customer_id, row.offer_id, row.channel, int(row.date))
        for row in tables.history.itertuples()
        if row.planned or row.outcome != "bounced"
    ]
    for c in np.unique(candidates.rows.customer):
        at = np.flatnonzero(candidates.rows.customer == c)
        mine = [
            (ids["customer"][c], ids["offer"][candidates.rows.offer[k]],
             ids["channel"][candidates.rows.channel[k]], int(candidates.rows.day[k]))
            for k in at
        ]  # fmt: skip
        before = [h for h in happened if h[0] == ids["customer"][c]]
        sets = [s for s in subsets(len(at)) if allowed([mine[k] for k in s], before, rules, conflicts)]
        lock = set(random.choice(sets)) if random.random() < 0.3 else set()
        locked[at[sorted(lock)]] = True
        worths = {s: value[at[list(s)]].sum() for s in sets if lock <= set(s)}
        top = max(worths.values())
        total += top
        for k in range(len(at)):
            without = [w for s, w in worths.items() if k not in s]
            advantage[at[k]] = np.nan if k in lock else top - max(without)

    asked = np.arange(len(candidates))
    found = bound.search(
        given_inputs, candidates, value, locked, asked, (read_rules, read_conflicts), rows.take(counted)
    )
    assert found.cut == 0
    assert found.total == pytest.approx(total)
    assert found.advantage == pytest.approx(advantage, nan_ok=True)
    # Cut off at once, the search still gives an upper bound.
    rough = bound.search(
        given_inputs,
        candidates,
        value,
        locked,
        asked[:0],
        (read_rules, read_conflicts),
        rows.take(counted),
        limit=0,
    )
    assert rough.total >= total - 1e-9


def test_chunks_never_part_a_customer(monkeypatch: pytest.MonkeyPatch) -> None:
    customer = np.array([0, 0, 0, 1, 2, 2, 3, 3, 3, 3])
    rows = Rows(customer, *[np.zeros(10, dtype=np.int64)] * 4)

    class Lot:
        pass

    lot = Lot()
    lot.rows = rows  # type: ignore[attr-defined]
    monkeypatch.setattr(bound, "CHUNK", 2)
    lots = list(bound._chunks(lot, np.array([0, 2, 3, 4, 5, 6, 9])))  # type: ignore[arg-type]
    assert [list(items) for items in lots] == [[0, 2], [3, 4, 5], [6, 9]]


def test_a_price_of_the_wrong_sign_counts_as_none() -> None:
    from omniopt.audit.limits import Limit, Usage

    use = Usage(np.arange(2), np.zeros(2, dtype=np.int64), np.ones(2))
    row = Limit("seats", [], [()], np.array([-np.inf]), np.array([1.0]), use)
    faults = Faults()
    worth, constant, _ = bound.priced(np.array([5.0, 3.0]), [(row, {"": np.array([-4.0])})], faults)
    assert list(worth) == [5.0, 3.0] and constant == 0.0
    assert "rule 'seats': the price -4 needs a minimum" in str(next(iter(faults)))


def test_the_search_of_a_hard_part_ends(tmp_path: Path) -> None:
    """Thirty contacts in windows that all overlap: cut off, the relaxation stands in and is no less."""
    size = 30
    rng = np.random.default_rng(3)
    worth = np.sort(rng.uniform(1, 2, size))[::-1].copy()
    start, empty = np.arange(size + 1), np.empty(0, dtype=np.int64)
    window_start = np.append(0, np.cumsum(np.full(size, 3)))
    window = np.concatenate([rng.choice(12, 3, replace=False) for _ in range(size)])
    parts = Parts(
        np.array([0, size]), worth, start, np.arange(size), window_start, window, np.zeros(size, dtype=bool),
        np.full(12, 2), np.zeros(size + 1, dtype=np.int64), empty, np.full(size, -1), np.full(size, -1), 0,
    )  # fmt: skip
    one, none = np.array([0]), np.array([-1])
    exact, sure = best(parts, one, none, limit=10_000_000)
    rough, cut = best(parts, one, none, limit=100)
    assert sure.all() and not cut.any()
    assert rough[0] >= exact[0]
    again, _ = best(parts, one, none, limit=10_000_000)
    assert again[0] == exact[0]
