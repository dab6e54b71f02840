"""What a contact may cost because it annoys: the loss if the customer unsubscribes, times its chance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from omniopt.actions.catalogue import Catalogue
from omniopt.errors import BadInput, Faults, nearest
from omniopt.knowledge.annoyance import level, pressure_before, unsubscribe_rates
from omniopt.knowledge.profile import Events
from omniopt.project.annoyance import Annoyance
from omniopt.tables import Tables


class AnnoyanceCost:
    """Each customer's loss, and the chance of it by channel and pressure.

    Parameters
    ----------
    catalogue : Catalogue
    tables : Tables
    said : Annoyance
        What the project file says.
    estimated : bool
        Estimate the chances from history; not needed where scores bring them.
    faults : Faults
        Gets what is missing.
    """

    def __init__(
        self, catalogue: Catalogue, tables: Tables, said: Annoyance, estimated: bool, faults: Faults
    ) -> None:
        self.loss, self.days = _losses(catalogue, tables, said, faults), said.days
        self._rate = np.zeros((0, 0))
        if not estimated:
            return
        past = catalogue.history
        self._events = Events.of(past.codes["customer"], past.day)
        try:
            rates = unsubscribe_rates(tables, said.days)
        except BadInput as error:
            faults.extend(error.faults)
            return
        self._rate = rates.rate[rates.channels.get_indexer(catalogue.ids_of("channel"))]

    def chance(self, customer: np.ndarray, channel: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Return the chance that a contact which is received makes the customer unsubscribe.

        Parameters
        ----------
        customer, channel, day : ndarray of int64, shape (n,)
        """
        if not self._rate.size:  # why there is none has been said
            return np.zeros(len(customer))
        pressure = pressure_before(self._events, customer, day, self.days)
        return self._rate[channel, level(pressure)]


def _losses(catalogue: Catalogue, tables: Tables, said: Annoyance, faults: Faults) -> np.ndarray:
    """Return what each customer's unsubscribing costs, by code."""
    frame = catalogue.entities["customer"]
    if not isinstance(said.loss, str):
        return np.full(len(frame), said.loss)
    file, name = tables.files.get("customers"), said.loss.removeprefix("customer.")
    if name not in frame or not pd.api.types.is_numeric_dtype(frame[name]):
        known = [f"customer.{c}" for c in frame.select_dtypes("number")]
        message = f"annoyance: there is no column of numbers {said.loss}"
        faults.add(message, file=file, table="customers", hint=nearest(said.loss, known))
        return np.zeros(len(frame))
    loss = frame[name].to_numpy(np.float64, na_value=np.nan)
    for wrong, what in ((np.isnan(loss), "no"), (loss < 0, "a negative")):
        for code in np.flatnonzero(wrong)[:20]:
            message = f"customer {catalogue.ids_of('customer')[code]} has {what} {name}"
            hint = "Write the money lost when the customer unsubscribes, from 0 on"
            faults.add(message, file=file, table="customers", column=name, hint=hint)
    return np.nan_to_num(loss)
