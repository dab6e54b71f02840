"""From a project to a plan."""

from __future__ import annotations

import contextlib
import math
import time
from importlib.util import find_spec

import numpy as np
import pandas as pd

from omniopt.decisions import kernels, redundant
from omniopt.decisions.certificate import Claim, claims_of, rule_entries
from omniopt.decisions.dual import advantages
from omniopt.decisions.plan import Plan, alternatives_frame, contact_frame, dropped_frame
from omniopt.decisions.problem import ROUNDING, Problem, build_problem
from omniopt.decisions.progress import Progress, Search
from omniopt.decisions.restrict import search
from omniopt.decisions.sensitivity import add_ranges, take_relaxed_prices
from omniopt.errors import BadInput, Faults, StoppedWithoutPlan
from omniopt.project import Project

SOLVERS = ("auto", "exact", "decomposed")
LARGE = 100_000  # candidates from which the decomposed solver is taken
SMALL = 1_000  # candidates up to which the exact solver is
PER_LIMIT = 10  # customers for each row of a limit from which prices go first


def optimize(
    project: Project,
    gap: float = 1e-4,
    time_limit: float | None = None,
    solver: str = "auto",
    warm_start: Plan | None = None,
    scores: pd.DataFrame | None = None,
    progress: Progress | None = None,
    price_ranges: bool | None = None,
    cluster: str | None = None,
) -> Plan:
    """Decide who gets which offer, on which channel, when.

    Parameters
    ----------
    project : Project
        Tables and policy.
    gap : float
        Relative gap at which to stop, at least 0.
    time_limit : float, optional
        Seconds for the solve. The best plan found by then is returned, with its gap.
    solver : {"auto", "exact", "decomposed"}
        How to solve: as one integer program, or customer by customer with prices for what ties
        them together. ``auto`` takes the second beyond 100,000 candidates, and below where customers
        have several rules to keep and there are ten for every limit; if its plan is not within the gap
        there, the first goes on from it.
    warm_start : Plan, optional
        An earlier plan to start from; those of its contacts that are still candidates, if they
        keep the rules.
    scores : DataFrame, optional
        customer_id, offer_id, channel, p_response, in place of the project's own. The list of warnings in
        its ``attrs["warnings"]``, where there is one, goes into the certificate's notes.
    progress : callable, optional
        Called with a step's name, the best objective and the best bound, as they close in.
    price_ranges : bool, optional
        Whether to find the range of every price; if not given, where that is quick.
    cluster : str, optional
        Address of a dask scheduler whose workers solve the customers, such as
        ``tcp://10.0.0.1:8786``; ``local`` starts a worker on each of this machine's cores. The
        decomposed solver is taken then.

    Returns
    -------
    Plan

    Raises
    ------
    BadInput
        With all faults of tables and policy.
    Infeasible
        If no plan keeps all rules.
    StoppedWithoutPlan
        If time ran out before any plan was found.

    Examples
    --------
    >>> import pandas as pd
    >>> import omniopt as oo
    >>> channels = ["call", "mail"]
    >>> actions = pd.DataFrame({"action_id": channels, "offer_id": "card", "channel": channels})
    >>> candidates = pd.DataFrame(
    ...     {
    ...         "customer_id": ["ann", "ann", "bob"],
    ...         "action_id": ["call", "mail", "call"],
    ...         "value": [5.0, 3.0, 4.0],
    ...     }
    ... )
    >>> policy = {
    ...     "objective": "value",
    ...     "limits": [{"name": "calls", "where": {"channel": "call"}, "max": 1}],
    ...     "contact": [{"name": "one each", "max": 1}],
    ... }
    >>> plan = oo.optimize(oo.Project.from_frames(policy, actions=actions, candidates=candidates))
    >>> plan.status, plan.objective
    ('optimal', 7.0)
    """
    _check_arguments(gap, time_limit, solver, cluster)
    tell, began = progress or (lambda *_: None), time.perf_counter()
    if (
        cluster is not None
        or solver == "decomposed"
        or (solver == "auto" and candidates_at_most(project) > LARGE)
    ):
        from omniopt.decisions.large.decide import decide

        return decide(project, gap, time_limit, warm_start, scores, tell, cluster)
    with contextlib.suppress(BadInput):  # building tells the tables' faults together with the policy's
        project.read()
    read = time.perf_counter()
    problem = build_problem(project, scores)
    built = time.perf_counter()
    start = None if warm_start is None else problem.places(warm_start.contacts)
    if solver == "auto" and is_for_prices(problem):
        found = [_prices_first(problem, gap, time_limit, tell, start)]
    else:
        found = _by_rank(problem, gap, time_limit, tell, start)
    if price_ranges:
        take_relaxed_prices(found[0])
    solved = time.perf_counter()
    seconds = {"read": read - began, "build": built - read, "solve": solved - built}
    plan = _plan(problem, found, gap, seconds)
    add_ranges(plan.certificate["rules"], problem, found[0], price_ranges)
    return plan


def candidates_at_most(project: Project) -> int:
    """Return how many candidates a project can have, before any is taken out."""
    given = project.count("candidates")
    if given is not None:
        return given
    with contextlib.suppress(BadInput):  # told when the problem is built
        tables = project.read()
        if tables.customers is not None:
            days = 1 if project.spec.horizon is None else project.spec.horizon.days
            crossed = len(tables.offers) * len(tables.channels) * days if tables.actions is None else 0  # type: ignore[arg-type]
            return len(tables.customers) * (crossed or len(tables.actions))  # type: ignore[arg-type]
    return 0


def _check_arguments(gap: float, time_limit: float | None, solver: str, cluster: str | None) -> None:
    faults = Faults()
    if not (isinstance(gap, int | float) and math.isfinite(gap) and gap >= 0):
        faults.add(f"the gap is a number from 0, not {gap!r}", hint="Write for instance 0.0001.")
    if time_limit is not None and not (isinstance(time_limit, int | float) and time_limit > 0):
        faults.add(f"the time limit is a number of seconds above 0, not {time_limit!r}")
    if solver not in SOLVERS:
        faults.add(f"the solver is one of {', '.join(SOLVERS)}, not {solver!r}")
    if cluster is not None and solver == "exact":
        faults.add("the exact solver works on one machine", hint="Leave the solver out, or the cluster.")
    if cluster is not None and find_spec("distributed") is None:
        faults.add(
            "a cluster needs dask.distributed, which is not installed",
            hint="Install it: pip install 'omniopt[cluster]'.",
        )
    faults.raise_if_any()


def is_for_prices(problem: Problem) -> bool:
    """Whether a problem of up to 100,000 candidates is solved faster by prices than by an LP and branching.

    So it is where customers have more than one rule each to keep, which an LP does not see well, and where
    there are many customers for a limit, of whom prices leave only a few undecided. Cells and later
    objectives are left to the exact solver, and so is what is small.
    """
    if len(problem) <= SMALL or problem.system.g or len(problem.policy.objectives) > 1:
        return False
    units = len(np.unique(problem.unit))
    return len(problem.units) > units >= PER_LIMIT * len(problem.coupling)


def _prices_first(
    problem: Problem, gap: float, time_limit: float | None, progress: Progress, start: np.ndarray | None
) -> Search:
    """Look for a plan by prices; where these fall short, the exact solver goes on from it."""
    from omniopt.decisions.large.middle import search_by_prices

    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    priced = None
    try:
        priced = search_by_prices(problem, gap, time_limit, progress, start)
        if priced.reached() or priced.left() == 0.0:
            return priced
        start = priced.chosen
    except StoppedWithoutPlan:
        if time.monotonic() >= deadline:
            raise
    left = None if math.isinf(deadline) else max(deadline - time.monotonic(), 0.01)
    found = search(problem, gap, left, progress, start)
    if priced is not None and priced.dual is not None and found.dual is not None:
        found.tighten(priced.bound)
        if priced.dual.bound < found.dual.bound:
            found.dual, found.relaxer = priced.dual, None
    return found


def _by_rank(
    problem: Problem, gap: float, time_limit: float | None, progress: Progress, start: np.ndarray | None
) -> list[Search]:
    """Optimise each objective among the plans that keep the earlier ones within their shares."""
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    found = [search(problem, gap, time_limit, progress, start)]
    floors: list[float] = []
    for rank, earlier in enumerate(problem.policy.objectives[:-1], 1):
        best = found[-1].objective
        floors.append(best - earlier.within * abs(best) - ROUNDING * max(1.0, abs(best)))
        deadline = min(deadline, found[-1].deadline)  # of a search that somebody stopped it has passed
        left = None if math.isinf(deadline) else max(deadline - time.monotonic(), 0.01)
        found.append(search(problem.at_rank(rank, floors), gap, left, progress, found[-1].chosen))
    return found


def _plan(problem: Problem, found: list[Search], target: float, seconds: dict[str, float]) -> Plan:
    dual, chosen = found[0].dual, found[-1].chosen
    assert chosen is not None and dual is not None
    index = kernels.UnitIndex.of(problem.unit, problem.units) if len(problem) else None
    contacts = contact_frame(problem, np.flatnonzero(chosen)).assign(
        advantage=advantages(problem, index, dual, chosen) if index else []
    )
    contacts = contacts.sort_values(["customer_id", "date", "action_id"], kind="stable", ignore_index=True)
    reasons = np.bincount(problem.everything.reason, minlength=len(problem.everything.reasons))
    claims = [_claim(search, chosen) for search in found]
    certificate = claims_of(
        problem,
        claims,
        chosen,
        target,
        candidates=len(problem),
        customers=len(np.unique(problem.candidates.customer)),
        solver=found[0].solver,
        **({"bound_by": claims[0].bound_by} if claims[0].bound_by else {}),
        rules=rule_entries(problem, chosen, dual.prices),
        dropped={r: int(n) for r, n in zip(problem.everything.reasons[1:], reasons[1:], strict=True) if n},
        notes=[*problem.notes, *(redundant.notes(problem, index, chosen, dual, target) if index else [])],
        seconds={k: round(v, 3) for k, v in seconds.items()} | {"write": 0.0},
    )
    return Plan(
        certificate,
        contacts,
        dropped_frame(problem),
        alternatives_frame(problem, chosen, dual.worth),
        problem.scores if problem.model_scores else None,
        problem,
    ).with_trial(problem.trial)


def _claim(found: Search, chosen: np.ndarray) -> Claim:
    assert found.dual is not None
    value, dual, by = found.problem.value(chosen), found.dual, None
    if found.solver == "decomposed":
        by = "exact" if found.bound < dual.bound else "prices"
    return Claim(value, found.objective, found.bound, dual.bound, dual.prices, by)


def compare(a: Plan, b: Plan) -> pd.DataFrame:
    """Put two plans side by side.

    Parameters
    ----------
    a, b : Plan

    Returns
    -------
    DataFrame
        measure, a, b, difference (b less a): objective, bound, value, cost, response, contacts,
        customers reached, and contacts by channel.
    """
    pairs: dict[str, tuple[float, float]] = {
        "objective": (a.objective, b.objective),
        "bound": (a.bound, b.bound),
    }
    for name in ("value", "cost", "response"):
        pairs[name] = (_total(a, name), _total(b, name))
    pairs["contacts"] = (len(a.contacts), len(b.contacts))
    pairs["customers"] = (a.contacts["customer_id"].nunique(), b.contacts["customer_id"].nunique())
    counts = [p.contacts["channel"].value_counts() for p in (a, b)]
    for channel in sorted(set(counts[0].index) | set(counts[1].index)):
        pairs[f"contacts on {channel}"] = (counts[0].get(channel, 0), counts[1].get(channel, 0))
    rows = [(name, float(x), float(y)) for name, (x, y) in pairs.items()]
    frame = pd.DataFrame(rows, columns=["measure", "a", "b"])
    return frame.assign(difference=frame["b"] - frame["a"])


def _total(plan: Plan, measure: str) -> float:
    """Sum a measure over a plan's contacts, NaN where the project has no such measure."""
    return float(plan.contacts[measure].sum(min_count=1))
