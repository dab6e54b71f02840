"""Which customer a consent or a contact belongs to: by the source's own ids, or by exact keys."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Why a row is set aside.
NO_KEY = "it has no usable key"
UNKNOWN = "no customer has its key"
SHARED = "its key is shared by several customers"
DIFFERENT = "its keys are of different customers"

#: What `ids_of` says where the ids are those by which this project's tables and plans call customers.
OURS = "customers"

_NONE, _SEVERAL = -1, -2


class Directory:
    """The customers by each key.

    Parameters
    ----------
    keys : dict of str to Series
        Normalised values by node, those that are too common included.
    source, own_id : Series of str
        The source of each node, and its id there.
    customer : ndarray of int
        The customer (code) of each node.
    """

    def __init__(
        self, keys: dict[str, pd.Series], source: pd.Series, own_id: pd.Series, customer: np.ndarray
    ) -> None:
        self._customer = customer
        self.by_key = {key: _lookup(value, customer) for key, value in keys.items()}
        self.by_id = {
            str(name): pd.Series(customer[at], index=own_id.to_numpy()[at])
            for name, at in source.groupby(source).indices.items()
        }

    def add_names(self, names: pd.Series) -> None:
        """Add what customers are called, by any of their nodes; a source called `OURS` has its own ids.

        Parameters
        ----------
        names : Series of str
            What a customer of this node alone would be called. So a plan's ids are known also when the
            customer has been linked to another since.
        """
        self.by_id.setdefault(OURS, _lookup(names, self._customer))

    def find(
        self, rows: dict[str, pd.Series], ids: pd.Series | None, ids_of: str | None, size: int
    ) -> pd.DataFrame:
        """Find the customers of rows.

        Parameters
        ----------
        rows : dict of str to Series
            Normalised keys of the rows.
        ids : Series of str or None
            Ids in the source called `ids_of`, or the customers' own.
        ids_of : str or None
        size : int
            Number of rows.

        Returns
        -------
        DataFrame
            customer (code, -1 for none) and reason (missing where there is a customer).
        """
        answers = [_of(value, self.by_key[key]) for key, value in rows.items()]
        present = [value.notna().to_numpy() for value in rows.values()]
        if ids is not None and ids_of is not None:
            # A source without rows knows nobody.
            known = self.by_id.get(ids_of, pd.Series(dtype="int64", index=pd.Index([], dtype="str")))
            answers.append(_of(ids, known))
            present.append(ids.notna().to_numpy())
        if not answers:
            return pd.DataFrame({"customer": np.full(size, -1), "reason": NO_KEY})
        found = np.stack(answers)
        best = found.max(axis=0)
        contrary = ((found >= 0) & (found != best)).any(axis=0)
        given = np.any(present, axis=0)
        several = (found == _SEVERAL).any(axis=0)
        reason = np.select(
            [contrary, best >= 0, several, given], [DIFFERENT, "", SHARED, UNKNOWN], default=NO_KEY
        )
        customer = np.where(contrary | (best < 0), -1, best)
        return pd.DataFrame({"customer": customer, "reason": pd.Series(reason, dtype="str")})


def _lookup(value: pd.Series, customer: np.ndarray) -> pd.Series:
    """Return the customer of each value, or that there are several."""
    there = value.notna().to_numpy()
    codes, words = pd.factorize(value[there])
    low = np.full(len(words), np.iinfo(np.int64).max)
    high = np.full(len(words), -1)
    np.minimum.at(low, codes, customer[there])
    np.maximum.at(high, codes, customer[there])
    return pd.Series(np.where(low == high, low, _SEVERAL), index=words)


def _of(value: pd.Series, known: pd.Series) -> np.ndarray:
    at = known.index.get_indexer(value)
    if not len(known):
        return np.full(len(value), _NONE)
    return np.where(at >= 0, known.to_numpy()[at], _NONE)
