from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market import OFFERS, read

import omniopt as oo
from omniopt.actions.candidates import Delivery
from omniopt.actions.catalogue import build_catalogue
from omniopt.errors import BadInput, Faults
from omniopt.knowledge.profile import Events, affinity, contacts_of, delivery_rates, profile, shrunk_rates
from omniopt.tables import Tables

HISTORY = pd.DataFrame(
    [
        ("ann", "x", "mail", -30, "responded", 8.0, 5),
        ("ann", "y", "mail", -20, "delivered", None, None),
        ("ann", "x", "email", -10, "bounced", None, None),
        ("ann", "z", "mail", -4, "responded", 4.0, 3),
        ("bob", "x", "mail", -30, "sent", None, None),
        ("bob", "y", "mail", -25, "rejected", None, None),
    ],
    columns=["customer_id", "offer_id", "channel", "date", "outcome", "value", "response_days"],
)
HORIZON = {"start": "2026-11-23", "days": 28}
CUSTOMERS = pd.DataFrame({"customer_id": ["bob", "ann", "cid"]})


@pytest.fixture
def tables(make: Callable[..., Tables]) -> Tables:
    return make(customers=CUSTOMERS, history=HISTORY)


def test_profile_by_hand(tables: Tables) -> None:
    table = profile(tables).set_index("customer_id")
    assert list(table.index) == ["ann", "bob", "cid"]
    # ann: the bounced mail does not count; her last response is known from day -1 on.
    assert table.loc["ann"].to_dict() == {
        "contacts": 3,
        "outcomes": 3,
        "responses": 2,
        "response_rate": 2 / 3,
        "recency": 5,
        "response_recency": 2,
        "response_value": 6.0,
    }
    # bob: what became of the first contact is not known, so one outcome and no response.
    bob = table.loc["bob"]
    assert bob[["contacts", "outcomes", "responses", "response_rate", "recency"]].to_list() == [
        2,
        1,
        0,
        0.0,
        26,
    ]
    assert bob[["response_recency", "response_value"]].isna().all()
    cid = table.loc["cid"]
    assert cid[["contacts", "outcomes", "responses"]].to_list() == [0, 0, 0]
    assert cid[["response_rate", "recency", "response_recency", "response_value"]].isna().all()


@pytest.mark.parametrize(
    ("day", "contacts", "responses", "recency"),
    [(-30, 0, 0, np.nan), (-29, 1, 0, 1), (-25, 1, 0, 5), (-24, 1, 1, 6), (-20, 1, 1, 10), (-19, 2, 1, 1),
     (-1, 3, 1, 3), (0, 3, 2, 4)],
)  # fmt: skip
def test_only_what_was_known_before_the_day_counts(
    tables: Tables, day: int, contacts: int, responses: int, recency: float
) -> None:
    ann = profile(tables, as_of=day).iloc[0]
    assert (ann["contacts"], ann["responses"]) == (contacts, responses)
    assert ann["recency"] == recency or (np.isnan(recency) and np.isnan(ann["recency"]))


def test_what_comes_later_changes_nothing(make: Callable[..., Tables], tables: Tables) -> None:
    later = HISTORY["date"] >= -20
    corrupted = HISTORY.assign(
        outcome=HISTORY["outcome"].mask(later, "responded"), value=HISTORY["value"].mask(later, 1e6 / 7)
    )
    other = make(customers=CUSTOMERS, history=corrupted)
    pd.testing.assert_frame_equal(profile(tables, -20), profile(other, -20), check_exact=True)
    assert not profile(tables, 1).equals(profile(other, 1))


def test_planned_contacts_are_no_past(make: Callable[..., Tables]) -> None:
    planned = pd.DataFrame(
        {"customer_id": ["ann"], "offer_id": ["x"], "channel": ["mail"], "date": [3], "planned": [True]}
    )
    history = pd.concat([HISTORY.assign(planned=False), planned], ignore_index=True)
    table = profile(make(customers=CUSTOMERS, history=history), as_of=10)
    assert table["contacts"].to_list() == [3, 2, 0]


def test_without_history_or_customers(make: Callable[..., Tables], tables: Tables) -> None:
    assert profile(make(customers=CUSTOMERS, history=HISTORY.iloc[:0]))["recency"].isna().all()
    tables.customers = None
    assert profile(tables)["customer_id"].to_list() == ["ann", "bob"]
    assert profile(Tables(customers=CUSTOMERS))["contacts"].to_list() == [0, 0, 0]


def test_order_of_rows_changes_nothing(make: Callable[..., Tables], tables: Tables) -> None:
    other = make(customers=CUSTOMERS[::-1], history=HISTORY.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(profile(tables), profile(other), check_exact=True)
    pd.testing.assert_frame_equal(contacts_of(tables), contacts_of(other), check_exact=True)


@pytest.mark.parametrize("days", [-1, "soon"])
def test_response_days_are_days(make: Callable[..., Tables], days: object) -> None:
    history = HISTORY.astype({"response_days": object})
    history.loc[0, "response_days"] = days
    history["response_days"] = (
        history["response_days"].where(history["response_days"].notna(), None).astype("str")
    )
    with pytest.raises(
        BadInput, match="history, column response_days: a cell is not a number of days from 0 on"
    ):
        profile(make(customers=CUSTOMERS, history=history))


def test_events_against_a_plain_count() -> None:
    rng = np.random.default_rng(5)
    key, day = rng.integers(0, 4, 60), rng.integers(-9, 9, 60)
    weight = rng.integers(0, 5, 60).astype(float)
    asked_key, asked_day = rng.integers(0, 5, 300), rng.integers(-20, 20, 300)
    events = Events.of(key, day, weight)
    total, since = events.before(asked_key, asked_day), events.days_since(asked_key, asked_day)
    for i in range(300):
        mine = (key == asked_key[i]) & (day < asked_day[i])
        assert total[i] == weight[mine].sum()
        expected = asked_day[i] - day[mine].max() if mine.any() else np.nan
        assert since[i] == expected or (np.isnan(expected) and np.isnan(since[i]))


def test_no_events() -> None:
    none = Events.of(np.array([], np.int64), np.array([], np.int64))
    asked = np.array([0, 3])
    assert none.before(asked, asked).tolist() == [0, 0]
    assert np.isnan(none.days_since(asked, asked)).all()


# ---- affinity and delivery


def test_responses_per_channel_and_category_by_hand(tables: Tables) -> None:
    table = affinity(tables, "channel").set_index(["customer_id", "channel"])
    assert list(table.index) == [("ann", "mail"), ("bob", "mail"), ("cid", "mail")]  # the e-mail bounced
    assert table[["contacts", "outcomes", "responses"]].values.tolist() == [[3, 3, 2], [2, 1, 0], [0, 0, 0]]
    # Who has no history has the rate of all, 2 of 4; the others are between that and their own.
    assert table.loc[("cid", "mail"), "affinity"] == 0.5
    assert 0.5 <= table.loc[("ann", "mail"), "affinity"] < 2 / 3
    by_offer = affinity(tables, "category", -24).set_index(["customer_id", "category"])
    assert by_offer.loc[("ann", "x"), ["outcomes", "responses"]].tolist() == [1, 1]


def test_rates_are_drawn_by_as_much_as_chance_explains() -> None:
    rng = np.random.default_rng(0)
    trials = np.full(4000, 20)
    alike = rng.binomial(trials, 0.3)
    assert np.std(shrunk_rates(alike, trials)) < 0.02  # their own rates vary by 0.10
    truth = rng.beta(3, 7, 4000)  # as if each had ten contacts before
    apart = rng.binomial(trials, truth)
    expected = (apart + 3) / (20 + 10)
    assert np.abs(shrunk_rates(apart, trials) - expected).max() < 0.03
    assert np.isnan(shrunk_rates(np.zeros(3), np.zeros(3))).all()
    assert shrunk_rates(np.array([4, 0]), np.array([4, 4])) == pytest.approx([1.0, 0.0], abs=0.2)


def test_delivery_rate_by_hand() -> None:
    history = pd.DataFrame({"customer_id": ["ann"] * 6 + ["bob"] * 4, "offer_id": "x", "channel": "mail"})
    history["date"] = -np.arange(10) - 1
    history["outcome"] = ["bounced"] * 3 + ["delivered"] * 3 + ["bounced"] * 4
    channels = pd.DataFrame({"channel": ["mail", "email"], "delivery_rate": [0.9, None]})
    given = read(customers=CUSTOMERS, history=history, channels=channels)
    rates = delivery_rates(given).set_index(["customer_id", "channel"])
    assert rates.loc[("ann", "mail"), "delivery_rate"] == pytest.approx((3 + 5 * 0.9) / (6 + 5))
    assert rates.loc[("bob", "mail"), ["tried", "delivered"]].tolist() == [4, 0]
    assert rates.loc[("bob", "mail"), "delivery_rate"] == 0.9  # too few to tell
    assert rates.loc[("cid", "email"), "delivery_rate"] == 1.0


def test_candidates_are_valued_with_the_same_delivery_rates() -> None:
    rng = np.random.default_rng(4)
    history = pd.DataFrame(
        {"customer_id": rng.choice(["ann", "bob", "cid"], 60), "offer_id": "x",
         "channel": rng.choice(["mail", "email"], 60), "date": -np.arange(60) - 1,
         "outcome": rng.choice(["sent", "bounced", "delivered", "responded"], 60)}
    )  # fmt: skip
    channels = pd.DataFrame({"channel": ["mail", "email"], "delivery_rate": [0.9, 0.8]})
    given = {"customers": CUSTOMERS, "history": history, "channels": channels, "offers": OFFERS}
    project = oo.Project.from_frames({"objective": "value"}, horizon=HORIZON, **given)
    tables, faults = project.read(), Faults()
    catalogue = build_catalogue(project, tables, faults)
    customer, channel = (a.ravel() for a in np.indices((3, 2)))
    rates = delivery_rates(tables).set_index(["customer_id", "channel"])["delivery_rate"]
    keys = pd.MultiIndex.from_arrays(
        [np.asarray(catalogue.ids("customer"))[customer], np.asarray(catalogue.ids("channel"))[channel]]
    )
    np.testing.assert_array_equal(Delivery(catalogue, tables).of(customer, channel), rates.loc[keys])
    assert rates.nunique() > 2


@settings(max_examples=40)
@given(st.integers(-12, 0), st.integers(0, 2**32 - 1))
def test_the_future_is_never_looked_at(day: int, seed: int) -> None:
    """Whatever stands in history on or after a day, what is known as of that day is the same."""
    rng = np.random.default_rng(seed)

    def some(first: int, days: int) -> pd.DataFrame:
        n = int(rng.integers(0, 12))
        return pd.DataFrame(
            {"customer_id": rng.choice(["ann", "bob"], n), "offer_id": rng.choice(["x", "y"], n),
             "channel": rng.choice(["mail", "email"], n), "date": first + rng.integers(0, max(days, 1), n),
             "outcome": rng.choice(["responded", "delivered", "bounced", "sent"], n),
             "value": rng.uniform(0, 9, n), "response_days": rng.integers(0, 9, n)}
        ).drop_duplicates(["customer_id", "offer_id", "channel", "date"])  # fmt: skip

    past = pd.concat([some(-20, day + 20), KNOWN], ignore_index=True).drop_duplicates(KEY)
    futures = [read(customers=CUSTOMERS, history=pd.concat([past, some(day, -day)])) for _ in range(2)]
    for describe in (
        profile, delivery_rates,
        lambda t, d: affinity(t, "channel", d), lambda t, d: affinity(t, "category", d),
    ):  # fmt: skip
        pd.testing.assert_frame_equal(*(describe(tables, day) for tables in futures), check_exact=True)


KEY = ["customer_id", "offer_id", "channel", "date"]
#: History must not be empty of every kind, or its columns have none.
KNOWN = pd.DataFrame(
    [("ann", "x", "mail", -21, "responded", 1.0, 0)], columns=[*KEY, "outcome", "value", "response_days"]
)
