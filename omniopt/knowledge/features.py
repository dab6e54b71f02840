"""Rows of features for the response model: a customer, an offer and a channel, as they were on a day."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from omniopt.errors import Faults
from omniopt.knowledge.profile import CustomerPast, Events, Ints, category_of, contacts_of, customers_of
from omniopt.tables import CONTRACT, Tables

#: Columns of the customers table that say who or where somebody is, not what they are like.
NOT_ATTRIBUTES = ("customer_id", "household_id", "agent_id", "timezone")
#: Text with more distinct values than this describes single customers, not kinds of them.
MOST_VALUES = 50
#: By so many contacts a customer's response on a channel is drawn to their usual one.
AFFINITY_WEIGHT = 10.0
#: Columns that `contacts_of` adds.
DERIVED = ("category", "known", "response", "response_day")
#: Taken from the profile; the number of known outcomes says no more than the number of contacts.
PAST = ("contacts", "responses", "response_rate", "recency", "response_recency", "response_value")


@dataclass
class Features:
    """What is known of customers, offers and channels, ready to be asked about any of them on any day.

    Parameters
    ----------
    tables : Tables
        Customers, offers and history.
    without : tuple of str
        Attributes that are not to be used.

    Attributes
    ----------
    contacts : pandas.DataFrame
        The contacts received, as `omniopt.knowledge.profile.contacts_of` returns them.
    customers : pandas.Index
        Ids, sorted; rows name customers by their position here.
    numeric, text : list of str
        The customers' attributes in use, by kind.
    left_out : list of str
        Text attributes with too many distinct values.

    Raises
    ------
    BadInput
        As `contacts_of` does, and when an attribute is of another kind in history than in customers.
    """

    tables: Tables
    without: tuple[str, ...] = ()
    contacts: pd.DataFrame = field(init=False)
    customers: pd.Index = field(init=False)
    numeric: list[str] = field(init=False, default_factory=list)
    text: list[str] = field(init=False, default_factory=list)
    left_out: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.contacts = contacts_of(self.tables)
        self.customers = customers_of(self.tables, self.contacts)
        self._past = CustomerPast(self.contacts, self.customers)
        self._attributes = self._encode()
        self._matrix = self._attributes.to_numpy()
        self._check_kinds()
        self._index_pasts()

    def _encode(self) -> pd.DataFrame:
        """Turn the customers' attributes into numbers: text into codes, -1 where it is missing."""
        self._words: dict[str, pd.Index] = {}
        encoded: dict[str, np.ndarray] = {}
        if self.tables.customers is None:
            return pd.DataFrame(index=range(len(self.customers)))
        rows = self.tables.customers.set_index("customer_id").reindex(self.customers)
        for name in sorted(set(rows.columns) - set(NOT_ATTRIBUTES) - set(self.without)):
            column = rows[name]
            if _is_number(column):
                self.numeric.append(name)
                encoded[name] = column.astype("Float64").to_numpy(float, na_value=np.nan)
            elif column.nunique() > MOST_VALUES:
                self.left_out.append(name)
            else:
                self.text.append(name)
                self._words[name] = pd.Index(np.sort(column.dropna().unique().astype(str)))
                encoded[name] = self._words[name].get_indexer(column).astype(float)
        return pd.DataFrame(encoded, index=range(len(self.customers)))[self.attributes]

    def _check_kinds(self) -> None:
        faults = Faults()
        for name in self.at_contact:
            numeric = name in self.numeric
            if numeric != _is_number(self.contacts[name]):
                faults.add(
                    f"it holds {'text' if numeric else 'numbers'} here, and the other in customers",
                    file=self.tables.files.get("history"),
                    table="history",
                    column=name,
                    hint="Give both the same kind of value, or one of them another name",
                )
        faults.raise_if_any()

    def _index_pasts(self) -> None:
        """Index outcomes and responses by customer and category, and by customer and channel."""
        contacts = self.contacts
        self.categories = pd.Index(np.sort(contacts["category"].astype(str).unique()))
        self.offers = pd.Index(np.sort(contacts["offer_id"].astype(str).unique()))
        self.channels = pd.Index(np.sort(contacts["channel"].astype(str).unique()))
        category, _, channel = self.codes_of(contacts)
        customer = self.positions(contacts)
        known, answered = contacts["known"].to_numpy(), contacts["response"].to_numpy()

        def indexed(key: Ints) -> tuple[Events, Events]:
            return (
                Events.of(key[known], contacts["date"].to_numpy()[known]),
                Events.of(key[answered], contacts["response_day"].to_numpy()[answered]),
            )

        self._by_category = indexed(self._category_key(customer, category))
        self._by_channel = indexed(self._channel_key(customer, channel))

    def _category_key(self, customer: Ints, category: Ints) -> Ints:
        # A category that history does not know comes after all others, and has no events.
        size = len(self.categories) + 1
        return customer * size + np.where(category < 0, size - 1, category)

    def _channel_key(self, customer: Ints, channel: Ints) -> Ints:
        return customer * len(self.channels) + channel

    def positions(self, rows: pd.DataFrame) -> Ints:
        """Return the position of each row's customer in `customers`; -1 where there is no such customer."""
        return self.customers.get_indexer(rows["customer_id"]).astype(np.int64)

    @property
    def at_contact(self) -> list[str]:
        """Attributes that history holds as they were at each contact."""
        meant = {*CONTRACT["history"].columns, *DERIVED}
        return [name for name in self.attributes if name in self.contacts.columns and name not in meant]

    def codes_of(self, rows: pd.DataFrame) -> tuple[Ints, Ints, Ints]:
        """Return the codes of category, offer and channel; -1 for those that history does not know."""
        category = category_of(self.tables, rows["offer_id"])
        return (
            self.categories.get_indexer(category).astype(np.int64),
            self.offers.get_indexer(rows["offer_id"]).astype(np.int64),
            self.channels.get_indexer(rows["channel"]).astype(np.int64),
        )

    def past(self, customer: Ints, day: Ints) -> pd.DataFrame:
        """Return the profile of customers (by position) as of days."""
        return self._past.at(customer, day)[list(PAST)]

    def rows(
        self, customer: Ints, codes: tuple[Ints, Ints, Ints], day: Ints, past: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Return one row of features per query.

        Parameters
        ----------
        customer : ndarray of int
            Positions in `customers`.
        codes : tuple of three ndarray of int
            Category, offer and channel, as `codes_of` returns them.
        day : ndarray of int
            Day numbers; only history before them is used.
        past : pandas.DataFrame, optional
            What `past` returns for the same customers and days, if it is at hand.

        Returns
        -------
        pandas.DataFrame
            Floats. Numbers may be missing; codes of text are -1 where the text is missing or unknown.
        """
        key = self._category_key(customer, codes[0])
        rows = self.past(customer, day) if past is None else past.copy()
        rows["category_outcomes"], rows["category_responses"] = (
            e.before(key, day) for e in self._by_category
        )
        if len(self.channels) > 1:  # else the channel's past is the customer's
            rows["channel_affinity"] = self._affinity(rows, customer, codes[2], day)
        rows[[column_of(name) for name in self.attributes]] = self._matrix[customer]
        for name, code in zip(("category", "offer", "channel"), codes, strict=True):
            rows[name] = code.astype(float)
        return rows

    def _affinity(self, rows: pd.DataFrame, customer: Ints, channel: Ints, day: Ints) -> np.ndarray:
        """Return how much more a customer answered on a channel than elsewhere, drawn to nothing."""
        key = self._channel_key(customer, channel)
        outcomes, responses = (e.before(key, day) for e in self._by_channel)
        usual = rows["response_rate"].fillna(0.0).to_numpy()
        return (responses - outcomes * usual) / (outcomes + AFFINITY_WEIGHT)

    def known_today(self, attribute: str) -> np.ndarray:
        """Return an attribute of all customers as it is now, as a number or a code."""
        return self._attributes[attribute].to_numpy(float)

    @property
    def attributes(self) -> list[str]:
        """The customers' attributes in use."""
        return [*self.numeric, *self.text]

    @property
    def codes(self) -> list[str]:
        """The columns of `rows` that are codes of text."""
        return [*map(column_of, self.text), "category", "offer", "channel"]

    def of_contacts(self, chosen: np.ndarray) -> pd.DataFrame:
        """Return the features of past contacts, each as of its own day.

        Where history holds an attribute as it was at the contact, that value is used: the customers table
        only knows today's, which may have come about by the response.
        """
        contacts = self.contacts[chosen]
        day = contacts["date"].to_numpy()
        rows = self.rows(self.positions(contacts), self.codes_of(contacts), day)
        for name in self.at_contact:
            then = contacts[name]
            if name in self.text:
                rows[column_of(name)] = self._words[name].get_indexer(then.astype(object)).astype(float)
            else:
                rows[column_of(name)] = then.astype("Float64").to_numpy(float, na_value=np.nan)
        return rows


def column_of(attribute: str) -> str:
    """Return the name of a customers' attribute among the features, where "recency" may be one too."""
    return f"customer.{attribute}"


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
