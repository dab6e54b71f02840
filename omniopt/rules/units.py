"""Units: the customers, or the households, that rules for each customer tie together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from omniopt.rules.policy import Contact
from omniopt.rules.statements import states
from omniopt.rules.where import Scopes


@dataclass(frozen=True)
class Units:
    """The unit of every customer: itself, or its household where some rule counts by household.

    Attributes
    ----------
    of : ndarray of int64
        Unit of each customer, by customer code.
    names : StringArray
        For messages: customer ids, or household ids.
    word : str
        "customer" or "household".
    """

    of: np.ndarray
    names: pd.api.extensions.ExtensionArray
    word: str


@states("household")
def build_units(contact: list[Contact], scopes: Scopes, also: str | None = None) -> Units:
    """Return the units that a policy's contact rules need.

    Parameters
    ----------
    contact : list of Contact
    scopes : Scopes
        Gets the faults.
    also : str, optional
        Name of something else that asks for households.
    """
    catalogue = scopes.catalogue
    ids = catalogue.ids_of("customer")
    alone = Units(np.arange(len(ids), dtype=np.int64), ids, "customer")
    asking = [rule.name for rule in contact if rule.unit == "household"]
    asking += [] if also is None else [also]
    if not asking:
        return alone
    customers = catalogue.entities["customer"]
    if "household_id" not in customers:
        for name in asking:
            scopes.fault(
                name, "unit: household needs a column household_id in the customers",
                "Add the column, with an id of its own for whoever lives alone.",
            )  # fmt: skip
        return alone
    codes, names = pd.factorize(customers["household_id"], sort=True)
    missing = np.flatnonzero(codes < 0)
    for code in missing[:10]:
        scopes.fault(
            asking[0], f"customer {ids[code]} has no household_id",
            "Give whoever lives alone a household of their own.",
        )  # fmt: skip
    if len(missing) > 10:
        scopes.fault(asking[0], f"{len(missing) - 10} more customers have no household_id")
    return Units(np.where(codes < 0, 0, codes).astype(np.int64), pd.array(names, dtype="str"), "household")
