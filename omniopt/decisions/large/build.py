"""From a project's files to what the decomposed solver works on; the counterpart of `build_problem`."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd

from omniopt.actions.candidates import Delivery
from omniopt.actions.catalogue import Catalogue
from omniopt.actions.valuation import BASIC, FURTHER, Valuation
from omniopt.decisions.idle import idle_rules
from omniopt.decisions.large.bins import (
    MISSED,
    asks_missed,
    bin_candidates,
    group_scopes,
    measures_asked,
)
from omniopt.decisions.large.columns import (
    Layout,
    constants,
    lay_columns,
    missed_share,
    valued,
)
from omniopt.decisions.large.gate import Given
from omniopt.decisions.large.living import asks_living
from omniopt.decisions.large.rows import state_rows
from omniopt.decisions.large.shape import Bins, Large
from omniopt.decisions.large.sift import Living, places, sift
from omniopt.decisions.large.templates import StatedTemplates, state_templates, unmet
from omniopt.decisions.problem import find_scores, read_project, unique_faults
from omniopt.errors import Faults
from omniopt.project import Project
from omniopt.rules.policy import Policy
from omniopt.rules.units import Units, build_units
from omniopt.rules.where import Scopes
from omniopt.tables import Tables
from omniopt.tables.order import grouped

Pairs = tuple[np.ndarray, np.ndarray]  # customer, and kind


def build_large(project: Project, scores: pd.DataFrame | None = None) -> tuple[Large, float]:
    """Read a project and state its problem for the decomposed solver.

    Parameters
    ----------
    project : Project
    scores : DataFrame, optional
        As for `build_problem`.

    Returns
    -------
    large : Large
        ``extra`` holds ``taken_out``, the candidates that were taken out where they are few enough to
        list; ``template_of`` and ``member``, as `state_templates` returns them; and ``unmet``, units
        without any candidate that a minimum asks contacts of, and the rules' places in the
        templates' names.
    read : float
        Seconds that reading the tables took.

    Raises
    ------
    BadInput
        With every fault found in the tables, or else every fault found in policy and values.
    """
    faults = Faults()
    began = time.perf_counter()
    grouped(np.zeros(0, np.int32), 0)  # compiled code takes a while to be there: it may while tables are read
    policy, tables, scopes = read_project(project, faults, coded=True)
    read = time.perf_counter() - began
    catalogue = scopes.catalogue
    given = Given.of(catalogue, tables.coded)
    living, bins, lock = sift(project, policy, tables, scopes, given)
    model_scores = False
    warnings: list[str] = []
    if tables.coded is not None:
        measures = {name: living.kept(values) for name, values in tables.coded.measures.items()}
    elif faults:  # only faults are still to be found: the measures' names have to be known
        measures = {name: np.zeros(len(living)) for name in (*BASIC, *FURTHER)}
    else:
        scores, model_scores, warnings = find_scores(project, tables, scores)
        valuation = Valuation(catalogue, scores, tables, project.spec.annoyance, faults)
        measures = valued(living, bins, catalogue, valuation, faults)
    known = sorted(measures)
    bins, measures = _sort_measures(policy, tables, catalogue, living, bins, measures)
    grouping = build_units(policy.contact, scopes)
    stated = state_rows(policy, bins, tables, scopes, known)
    templates = _templates(policy, bins, scopes, grouping, living, lock)
    unique_faults(faults).raise_if_any()
    layout = Layout.of(living, grouping)
    laid = {name: layout.laid(values) for name, values in measures.items()}
    columns = lay_columns(
        layout, bins, [laid[name] for name in bins.terms],
        {name: values for name, values in laid.items() if name not in bins.terms},
        grouping, templates.member, templates.template_of,
    )  # fmt: skip
    stand_ins = group_scopes(bins, scopes)
    occurring = bin_candidates(bins, np.flatnonzero(bins.occurs), stand_ins.catalogue)
    empty = np.ones(len(templates.template_of), bool)
    empty[grouping.of[living.customer]] = False
    large = Large(
        project, tables, policy, catalogue, bins, columns, stated.coupling, stated.watched, stated.system,
        stated.ranked, templates.templates, grouping, _positions(layout, bins, lock),
        dropped=living.dropped, eligibility=living.matched, candidates_given=len(given), scores=scores,
        model_scores=model_scores,
        notes=[
            *warnings,
            *idle_rules(policy, living.matched, [stated.coupling, stated.watched], occurring, stand_ins),
        ],
        extra={
            "taken_out": living.out, "template_of": templates.template_of, "member": templates.member,
            "trial": living.trial,
            "unmet": unmet(templates.templates, templates.template_of, np.flatnonzero(empty)),
        },
    )  # fmt: skip
    return large, read


def _sort_measures(
    policy: Policy, tables: Tables, catalogue: Catalogue, living: Living, bins: Bins,
    measures: dict[str, np.ndarray],
) -> tuple[Bins, dict[str, np.ndarray]]:  # fmt: skip
    """Tell measures that differ within bins from those that do not; keep what is asked for or shown."""
    asked = measures_asked(policy, sorted(measures))
    shown = [name for name in (*BASIC, *FURTHER) if name in measures and name not in asked]
    wanted = {name: measures[name] for name in [*asked, *shown]}
    delivery = Delivery(catalogue, tables) if asks_missed(policy, bins, catalogue) else None
    if delivery is not None and delivery.personal:
        wanted[MISSED] = missed_share(living, bins, catalogue, delivery)
        asked = [*asked, MISSED]
    constant, differ = {}, {}
    for name, values in wanted.items():
        found = constants(living.bin, values, len(bins))
        if found is None:
            differ[name] = values
        else:
            constant[name] = found
    return replace(bins, terms=[name for name in asked if name in differ], constant=constant), differ


def _templates(
    policy: Policy, bins: Bins, scopes: Scopes, grouping: Units, living: Living, lock: Pairs
) -> StatedTemplates:
    pairs = None
    if asks_living(policy):
        pairs = (np.repeat(living.customer, np.diff(living.start)), living.bin)
    return state_templates(policy, bins, scopes, grouping, lock if len(lock[0]) else None, pairs)


def _positions(layout: Layout, bins: Bins, lock: Pairs) -> np.ndarray:
    """Return where the locked contacts are laid out, ascending."""
    living = layout.living
    at = np.searchsorted(living.customer, lock[0])
    offset = places(living, bins, lock[0], bins.action[lock[1]]) - living.start[at]
    place = at if layout.order is None else np.argsort(layout.order)[at]
    return np.sort(layout.start[place] + offset)
