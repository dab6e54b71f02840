"""What history says about each customer: how often contacted, how often answered, how long ago.

Everything here is *as of* a day: only contacts before that day count, and a response counts from the day
after it came. So the same functions describe a customer today, and a customer on the day of a contact in the
past.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from omniopt.errors import BadInput, Fault
from omniopt.tables import Tables

#: Outcomes from which nothing can be learnt about the response: not known yet, or never received.
UNKNOWN = "sent"
NOT_RECEIVED = "bounced"
RESPONSE = "responded"

#: Past contacts with a known outcome from which a customer's own delivery rate counts.
OWN_RATE_FROM = 5
#: Weight of the channel's delivery rate in the customer's own, in contacts.
OWN_RATE_WEIGHT = 5.0
#: By so many contacts a rate is drawn to the common one where customers do not differ at all.
MOST_WEIGHT = 1e6

_TEXT = ("customer_id", "offer_id", "channel", "outcome")

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Events:
    """Dated things that happened to keys, such as customers, sorted: "before day t" is a binary search.

    Parameters
    ----------
    place : ndarray of int
        ``key · span + day − first``, ascending.
    total : ndarray of float
        Running sum of the events' weights, with a leading zero: one longer than `place`.
    first, span : int
        The first day, and the number of days that a key has room for.
    """

    place: Ints
    total: Floats
    first: int
    span: int

    @classmethod
    def of(cls, key: Ints, day: Ints, weight: Floats | None = None) -> Events:
        """Sort events; `weight` is 1 each if not given."""
        weight = np.ones(len(key)) if weight is None else weight
        first = int(day.min()) if len(day) else 0
        # Two spare days: a query may come the day after the last event, or before the first.
        span = int(day.max()) - first + 3 if len(day) else 3
        place = key.astype(np.int64) * span + (day - first)
        order = np.argsort(place, kind="stable")
        return cls(place[order], np.concatenate([[0.0], np.cumsum(weight[order])]), first, span)

    def _ends(self, key: Ints, day: Ints) -> tuple[Ints, Ints]:
        start = key.astype(np.int64) * self.span
        until = start + np.clip(day - self.first, 0, self.span - 1)
        return np.searchsorted(self.place, start), np.searchsorted(self.place, until)

    def before(self, key: Ints, day: Ints) -> Floats:
        """Return the sum of weights of each key's events strictly before each day."""
        start, end = self._ends(key, day)
        return self.total[end] - self.total[start]

    def days_since(self, key: Ints, day: Ints) -> Floats:
        """Return the days from each key's last event before each day to that day; NaN where there is none."""
        start, end = self._ends(key, day)
        some = end > start
        last = self.place[np.where(some, end - 1, 0)] if len(self.place) else np.zeros(len(key), np.int64)
        return np.where(some, day - (last - key * self.span + self.first), np.nan)


def contacts_of(tables: Tables) -> pd.DataFrame:
    """Return the contacts that customers received, from history, in an order of their own.

    Planned and bounced contacts are left out. Added columns: ``category`` of the offer (the offer itself if
    it has none), ``known`` (the outcome is known: anything but ``sent``), ``response`` (bool) and
    ``response_day``, the day from which the response is known: the contact's own, or ``response_days`` later
    where history has that column.

    Raises
    ------
    BadInput
        When ``response_days`` holds anything but numbers from 0 on.
    """
    history = tables.history
    if history is None:
        history = pd.DataFrame({name: pd.Series(dtype="str") for name in _TEXT}).assign(date=0)
    planned = history["planned"].to_numpy(bool) if "planned" in history else np.zeros(len(history), bool)
    contacts = history[~planned].reindex(columns=history.columns.union(["outcome"], sort=False))
    contacts = contacts[(contacts["outcome"] != NOT_RECEIVED).to_numpy()]
    contacts = contacts.sort_values(["date", "customer_id", "offer_id", "channel"], ignore_index=True)
    contacts["date"] = contacts["date"].astype("int64")
    contacts["category"] = category_of(tables, contacts["offer_id"]).to_numpy()
    contacts["known"] = (contacts["outcome"] != UNKNOWN).to_numpy()
    contacts["response"] = (contacts["outcome"] == RESPONSE).to_numpy()
    contacts["response_day"] = contacts["date"] + _response_days(tables, contacts)
    return contacts


def _response_days(tables: Tables, contacts: pd.DataFrame) -> Ints:
    """Return the days from each contact to its response; 0 where history does not say."""
    if "response_days" not in contacts:
        return np.zeros(len(contacts), np.int64)
    days = pd.to_numeric(contacts["response_days"], errors="coerce")
    if (days.isna() & contacts["response_days"].notna() | (days < 0)).any():
        hint = "Write the days from the contact to its response, or leave the cell empty"
        file = tables.files.get("history")
        message = "a cell is not a number of days from 0 on"
        raise BadInput([Fault(message, file=file, table="history", column="response_days", hint=hint)])
    return days.fillna(0.0).to_numpy(np.int64)


def category_of(tables: Tables, offer_id: pd.Series) -> pd.Series:
    """Return the category of each offer; an offer without one is a category of its own."""
    if tables.offers is None or "category" not in tables.offers.columns:
        return offer_id
    known = tables.offers.set_index("offer_id")["category"]
    return offer_id.map(known).fillna(offer_id)


def profile(tables: Tables, as_of: int = 1) -> pd.DataFrame:
    """Describe every customer by the contacts before a day.

    Parameters
    ----------
    tables : Tables
        Customers and history.
    as_of : int
        Day number; the first day of the horizon is 1. Nothing that happened on or after it counts.

    Returns
    -------
    pandas.DataFrame
        One row per customer of the customers table (of history, without one), sorted by customer_id:
        ``contacts`` received, ``outcomes`` (those whose outcome is known), ``responses``, ``response_rate``
        (responses / outcomes, NaN without any), ``recency`` and ``response_recency`` (days since the last
        contact and the last response, NaN without any), ``response_value`` (mean value of the responses, NaN
        without any).
    """
    contacts = contacts_of(tables)
    customers = customers_of(tables, contacts)
    day = np.full(len(customers), as_of, np.int64)
    return (
        CustomerPast(contacts, customers)
        .at(np.arange(len(customers)), day)
        .set_index(customers)
        .reset_index()
    )


def affinity(tables: Tables, by: Literal["channel", "category"], as_of: int = 1) -> pd.DataFrame:
    """Describe how each customer responded on each channel, or to each category, before a day.

    The affinity of a customer is ``(responses + w · rate) / (outcomes + w)``: with little history it is the
    rate of all customers, with much their own. How much is enough, w, is estimated from how far customers
    differ beyond what chance explains (beta-binomial model, by moments; Kleinman 1973, Journal of the
    American Statistical Association 68, 46-54).

    Parameters
    ----------
    tables : Tables
        Customers and history; offers for their categories.
    by : {"channel", "category"}
    as_of : int
        Day number; nothing that happened on or after it counts.

    Returns
    -------
    pandas.DataFrame
        One row per customer and each channel (or category) of history, sorted: customer_id, `by`,
        ``contacts`` received, ``outcomes``, ``responses``, ``affinity`` (NaN where no outcome is
        known).
    """
    contacts = contacts_of(tables)
    contacts = contacts[contacts["date"] < as_of]
    customers = customers_of(tables, contacts)
    names = pd.Index(np.sort(contacts[by].astype(str).unique()), name=by)
    key = customers.get_indexer(contacts["customer_id"]) * len(names) + names.get_indexer(contacts[by])
    marks = {
        "contacts": np.ones(len(contacts), bool), "outcomes": contacts["known"],
        "responses": contacts["response"] & (contacts["response_day"] < as_of),
    }  # fmt: skip
    size = len(customers) * len(names)
    counts = {
        name: np.bincount(key, np.asarray(mark, float), size).reshape(-1, len(names))
        for name, mark in marks.items()
    }
    shrunk = [shrunk_rates(counts["responses"][:, i], counts["outcomes"][:, i]) for i in range(len(names))]
    table = pd.MultiIndex.from_product([customers, names]).to_frame(index=False)
    whole = {name: count.ravel().astype(np.int64) for name, count in counts.items()}
    return table.assign(**whole, affinity=np.column_stack(shrunk).ravel() if shrunk else [])


def shrunk_rates(successes: np.ndarray, trials: np.ndarray) -> Floats:
    """Draw each one's rate to the rate of all, by as much as chance explains of their differences.

    Parameters
    ----------
    successes, trials : ndarray of float, shape (n,)
        Of each; whole numbers.

    Returns
    -------
    ndarray of float, shape (n,)
        NaN where nobody has a trial.
    """
    total = trials.sum()
    if not total:
        return np.full(len(trials), np.nan)
    rate = successes.sum() / total
    some = trials > 0
    spread = float((trials[some] * (successes[some] / trials[some] - rate) ** 2).sum())
    chance = rate * (1 - rate)
    room = total - float((trials**2).sum()) / total
    between = (spread - (some.sum() - 1) * chance) / room if room > 0 else 0.0
    weight = min(chance / between - 1, MOST_WEIGHT) if between > 0 else MOST_WEIGHT
    weight = max(weight, 0.0)
    return np.divide(
        successes + weight * rate, trials + weight, out=np.full(len(trials), rate), where=trials + weight > 0
    )


def delivery_rates(tables: Tables, as_of: int = 1) -> pd.DataFrame:
    """Say how likely each channel reaches each customer, by the contacts before a day.

    A channel's rate is its ``delivery_rate`` (1 if not given). From five contacts on whose outcome is known,
    the customer's own counts, drawn to it as if five more contacts had gone as it says; candidates are valued
    with the same rates.

    Parameters
    ----------
    tables : Tables
        Channels, customers and history.
    as_of : int
        Day number; contacts on or after it do not count.

    Returns
    -------
    pandas.DataFrame
        One row per customer and channel, sorted: customer_id, channel, ``tried``, ``delivered``,
        ``delivery_rate``.
    """
    history = tables.history if tables.history is not None else contacts_of(tables)
    if "outcome" not in history:
        history = history.assign(outcome=None)
    known = history["outcome"].notna() & (history["outcome"] != UNKNOWN) & (history["date"] < as_of)
    if "planned" in history:
        known &= ~history["planned"].fillna(False).astype(bool)
    past = history[known.to_numpy(bool)]
    customers = customers_of(tables, past)
    source = tables.channels if tables.channels is not None else past
    names = pd.Index(np.sort(source["channel"].to_numpy(str)), name="channel").unique()
    base = np.ones(len(names))
    if tables.channels is not None and "delivery_rate" in tables.channels:
        given = tables.channels.set_index("channel")["delivery_rate"].reindex(names)
        base = given.fillna(1.0).to_numpy(float)
    key = customers.get_indexer(past["customer_id"]) * len(names) + names.get_indexer(past["channel"])
    size = len(customers) * len(names)
    tried = np.bincount(key, minlength=size)
    delivered = np.bincount(key, (past["outcome"] != NOT_RECEIVED).to_numpy(float), size)
    base = np.tile(base, len(customers))
    own = (delivered + OWN_RATE_WEIGHT * base) / (tried + OWN_RATE_WEIGHT)
    return (
        pd.MultiIndex.from_product([customers, names])
        .to_frame(index=False)
        .assign(
            tried=tried,
            delivered=delivered.astype(np.int64),
            delivery_rate=np.where(tried >= OWN_RATE_FROM, own, base),
        )
    )


def customers_of(tables: Tables, contacts: pd.DataFrame) -> pd.Index:
    """Return the ids of all customers, sorted; without a table of customers, of those contacted."""
    source = tables.customers if tables.customers is not None else contacts
    return pd.Index(np.sort(source["customer_id"].to_numpy(str)), name="customer_id").unique()


class CustomerPast:
    """The contacts of each customer, ready to be asked about any day.

    Parameters
    ----------
    contacts : pandas.DataFrame
        As `contacts_of` returns them.
    customers : pandas.Index
        Customer ids; the queries name customers by their position in it.
    """

    def __init__(self, contacts: pd.DataFrame, customers: pd.Index) -> None:
        code = customers.get_indexer(contacts["customer_id"])
        ours = code >= 0
        code, contacts = code[ours].astype(np.int64), contacts[ours]
        day = contacts["date"].to_numpy()
        known, answered = contacts["known"].to_numpy(), contacts["response"].to_numpy()
        answer_day = contacts["response_day"].to_numpy()[answered]
        self.contacts = Events.of(code, day)
        self.outcomes = Events.of(code[known], day[known])
        self.responses = Events.of(code[answered], answer_day)
        value = contacts["value"].fillna(0.0).to_numpy() if "value" in contacts else np.zeros(len(contacts))
        # In whole ten-thousandths, running sums are exact: no customer's mean depends on another's rows.
        self.values = Events.of(code[answered], answer_day, np.rint(value[answered] * 1e4))

    def at(self, customer: Ints, day: Ints) -> pd.DataFrame:
        """Return one row per query: what was known of that customer before that day."""
        outcomes, responses = self.outcomes.before(customer, day), self.responses.before(customer, day)
        with np.errstate(invalid="ignore", divide="ignore"):
            return pd.DataFrame(
                {
                    "contacts": self.contacts.before(customer, day),
                    "outcomes": outcomes,
                    "responses": responses,
                    "response_rate": np.where(outcomes > 0, responses / outcomes, np.nan),
                    "recency": self.contacts.days_since(customer, day),
                    "response_recency": self.responses.days_since(customer, day),
                    "response_value": np.where(
                        responses > 0, self.values.before(customer, day) / responses / 1e4, np.nan
                    ),
                }
            )
