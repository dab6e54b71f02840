"""Rows of features for the response model: a customer, an offer and a channel, as they were on a day."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from omniopt.knowledge.profile import CustomerPast, Events, Ints, category_of, contacts_of
from omniopt.tables import Tables

#: Columns of the customers table that say who or where somebody is, not what they are like.
NOT_ATTRIBUTES = ("customer_id", "household_id", "agent_id", "timezone")
#: Text with more distinct values than this describes single customers, not kinds of them.
MOST_VALUES = 50
#: Taken from the profile; the number of known outcomes says no more than the number of contacts.
PAST = ("contacts", "responses", "response_rate", "recency", "response_recency", "response_value")


@dataclass
class Features:
    """What is known of customers, offers and channels, ready to be asked about any of them on any day.

    Parameters
    ----------
    tables : Tables
        Customers, offers and history.

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
    """

    tables: Tables
    contacts: pd.DataFrame = field(init=False)
    customers: pd.Index = field(init=False)
    numeric: list[str] = field(init=False, default_factory=list)
    text: list[str] = field(init=False, default_factory=list)
    left_out: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.contacts = contacts_of(self.tables)
        source = self.tables.customers if self.tables.customers is not None else self.contacts
        self.customers = pd.Index(np.sort(source["customer_id"].astype(str).unique()), name="customer_id")
        self._past = CustomerPast(self.contacts, self.customers)
        self._attributes = self._encode(source)
        self._category_past()

    def _encode(self, source: pd.DataFrame) -> pd.DataFrame:
        """Turn the customers' attributes into numbers: text into codes, -1 where it is missing."""
        names = (
            [] if self.tables.customers is None else [c for c in source.columns if c not in NOT_ATTRIBUTES]
        )
        rows = source.drop_duplicates("customer_id").set_index("customer_id").reindex(self.customers)
        self._words: dict[str, pd.Index] = {}
        encoded: dict[str, np.ndarray] = {}
        for name in sorted(names):
            column = rows[name]
            if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
                self.numeric.append(name)
                encoded[name] = column.astype("Float64").to_numpy(float, na_value=np.nan)
            elif column.nunique() > MOST_VALUES:
                self.left_out.append(name)
            else:
                self.text.append(name)
                self._words[name] = pd.Index(np.sort(column.dropna().unique().astype(str)))
                encoded[name] = self._words[name].get_indexer(column).astype(float)
        return pd.DataFrame(encoded, index=range(len(self.customers)))

    def _category_past(self) -> None:
        """Index outcomes and responses by customer and category."""
        contacts = self.contacts
        self.categories = pd.Index(np.sort(contacts["category"].astype(str).unique()))
        self.offers = pd.Index(np.sort(contacts["offer_id"].astype(str).unique()))
        self.channels = pd.Index(np.sort(contacts["channel"].astype(str).unique()))
        key = self._category_key(self.positions(contacts), self.categories.get_indexer(contacts["category"]))
        known, answered = contacts["known"].to_numpy(), contacts["response"].to_numpy()
        self._category_outcomes = Events.of(key[known], contacts["date"].to_numpy()[known])
        self._category_responses = Events.of(key[answered], contacts["response_day"].to_numpy()[answered])

    def _category_key(self, customer: Ints, category: Ints) -> Ints:
        # A category that history does not know comes after all others, and has no events.
        size = len(self.categories) + 1
        return customer * size + np.where(category < 0, size - 1, category)

    def positions(self, rows: pd.DataFrame) -> Ints:
        """Return the position of each row's customer in `customers`; -1 where there is no such customer."""
        return self.customers.get_indexer(rows["customer_id"]).astype(np.int64)

    @property
    def at_contact(self) -> list[str]:
        """Attributes that history holds as they were at each contact."""
        return [name for name in (*self.numeric, *self.text) if name in self.contacts.columns]

    def rows(self, customer: Ints, offer_id: pd.Series, channel: pd.Series, day: Ints) -> pd.DataFrame:
        """Return one row of features per query.

        Parameters
        ----------
        customer : ndarray of int
            Positions in `customers`.
        offer_id, channel : pandas.Series
            Ids, as long as `customer`.
        day : ndarray of int
            Day numbers; only history before them is used.

        Returns
        -------
        pandas.DataFrame
            Floats. Numbers may be missing; codes of text are -1 where the text is missing or unknown.
        """
        category = self.categories.get_indexer(category_of(self.tables, offer_id))
        key = self._category_key(customer, category)
        rows = self._past.at(customer, day)[list(PAST)]
        rows["category_outcomes"] = self._category_outcomes.before(key, day)
        rows["category_responses"] = self._category_responses.before(key, day)
        attributes = self._attributes.take(customer).set_index(rows.index)
        rows = pd.concat([rows, attributes[self.numeric]], axis="columns")
        rows = pd.concat([rows, attributes[self.text]], axis="columns")
        rows["category"] = category.astype(float)
        rows["offer"] = self.offers.get_indexer(offer_id).astype(float)
        rows["channel"] = self.channels.get_indexer(channel).astype(float)
        return rows

    @property
    def codes(self) -> list[str]:
        """The columns of `rows` that are codes of text."""
        return [*self.text, "category", "offer", "channel"]

    def of_contacts(self, chosen: np.ndarray) -> pd.DataFrame:
        """Return the features of past contacts, each as of its own day.

        Where history holds an attribute as it was at the contact, that value is used: the customers table only
        knows today's, which may have come about by the response.
        """
        contacts = self.contacts[chosen]
        day = contacts["date"].to_numpy()
        rows = self.rows(self.positions(contacts), contacts["offer_id"], contacts["channel"], day)
        for name in self.at_contact:
            then = contacts[name]
            if name in self.text:
                rows[name] = self._words[name].get_indexer(then.astype(object)).astype(float)
            else:
                rows[name] = then.astype("Float64").to_numpy(float, na_value=np.nan)
        return rows
