"""Product targeting in its textbook form: which products to offer at all, and to whom.

Each product has a budget, a fixed cost, and a least number of customers if it is offered at all; the whole
campaign has to reach a hurdle rate, and each customer gets a few products at most. The optimizer is compared
with the textbook's own model, written down here without it and given to HiGHS as it is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from agree import check
from scipy import optimize, sparse

import omniopt as oo

GAP = 1e-4
QUICK = (0, 1, 6)  # a closed product, a budget, a minimum and the hurdle rate bind in one or another


@dataclass(frozen=True)
class Campaign:
    """One instance: arrays of customers × products, and of products or customers."""

    value: np.ndarray
    cost: np.ndarray
    budget: np.ndarray
    least: np.ndarray
    fixed: np.ndarray
    most: np.ndarray
    hurdle: float

    def case(self) -> tiny.Case:
        """The campaign as a project with a policy."""
        customers, products = self.value.shape
        offers = [f"p{j + 1}" for j in range(products)]
        ids = [f"c{i + 1:03d}" for i in range(customers)]
        tables = {
            "actions": pd.DataFrame({"action_id": [f"a{o}" for o in offers], "offer_id": offers,
                                     "channel": "mail"}),
            "customers": pd.DataFrame({"customer_id": ids, "most": self.most}),
            "candidates": pd.DataFrame({
                "customer_id": np.repeat(ids, products), "action_id": [f"a{o}" for o in offers] * customers,
                "value": self.value.ravel(), "cost": self.cost.ravel(),
            }),
            "products": pd.DataFrame({"offer": offers, "budget": self.budget, "least": self.least,
                                      "fixed": self.fixed}),
        }  # fmt: skip
        policy = {
            "objective": "value - cost",
            "limits": [
                {"name": "budget", "per": ["offer"], "measure": "cost",
                 "max": {"table": "products", "column": "budget"}},
                {"name": "if at all", "per": ["offer"], "min": {"table": "products", "column": "least"},
                 "all_or_nothing": True, "fixed_cost": {"table": "products", "column": "fixed"}},
                {"name": "hurdle rate", "measure": "value", "over": "cost + fixed_cost", "min": self.hurdle},
            ],
            "contact": [{"name": "each", "max": {"column": "customer.most"}}],
        }  # fmt: skip
        return tiny.Case(tables, policy, None, {})

    def direct(self, gap: float) -> tuple[float, float]:
        """The textbook's optimum and its bound: x of customers × products, then z of products."""
        customers, products = self.value.shape
        n = customers * products
        product, customer = np.arange(n) % products, np.arange(n) // products
        ones = np.ones(n)

        def by(code: np.ndarray, amounts: np.ndarray, rows: int) -> sparse.csr_array:
            return sparse.csr_array((amounts, (code, np.arange(n))), shape=(rows, n))

        z = sparse.csr_array(np.eye(products))
        none = sparse.csr_array((customers, products))
        profit = (self.value - self.hurdle * self.cost).reshape(1, -1)
        parts = [  # (rows, least, most)
            (sparse.hstack([by(product, self.cost.ravel(), products), 0 * z]), -np.inf, self.budget),
            (sparse.hstack([by(product, ones, products), -sparse.diags_array(self.least) @ z]), 0, np.inf),
            (sparse.hstack([sparse.csr_array(np.eye(n)), -z[product]]), -np.inf, 0),
            (sparse.csr_array(np.hstack([profit, -self.hurdle * self.fixed[None]])), 0, np.inf),
            (sparse.hstack([by(customer, ones, customers), none]), -np.inf, self.most),
        ]
        found = optimize.milp(
            np.concatenate([(self.cost - self.value).ravel(), self.fixed]),
            constraints=[optimize.LinearConstraint(a, lo, hi) for a, lo, hi in parts],
            bounds=optimize.Bounds(0, 1), integrality=np.ones(n + products),
            options={"mip_rel_gap": gap, "time_limit": 300},
        )  # fmt: skip
        assert found.status == 0, found.message
        return -found.fun, -found.mip_dual_bound


def campaign(seed: int, customers: int, products: int = 5, whole: bool = False) -> Campaign:
    """Draw an instance in which budgets, minima, fixed costs and the hurdle rate all matter."""
    draw = np.random.default_rng(seed)
    grid = 4 if whole else 100  # so that sums are exact, or prices are in cents
    cost = np.round(draw.uniform(1, 3, (customers, products)) * grid) / grid
    appeal = draw.uniform(0.8, 1.2, products)
    value = (
        np.round(cost * draw.uniform(0.5, draw.choice([1.25, 1.6]), (customers, products)) * appeal * grid)
        / grid
    )
    budget = np.round(cost.sum(axis=0) * draw.uniform(0.2, 0.5, products))
    least = np.maximum(1, np.round(customers * draw.uniform(0.05, 0.2, products)))
    fixed = np.round(budget * draw.uniform(0.01, 0.15, products))
    most = draw.integers(1, 3, customers)
    return Campaign(value, cost, budget, least, fixed, most, float(draw.choice([1.1, 1.2, 1.3])))


def compare(instance: Campaign) -> tuple[Any, float]:
    """Solve both ways; the two optima lie within the two gaps."""
    started = time.perf_counter()
    plan = oo.optimize(instance.case().project(), gap=GAP)
    seconds = time.perf_counter() - started
    direct, bound = instance.direct(GAP)
    room = 1e-6 * max(1.0, abs(bound))
    assert plan.status in ("optimal", "within_gap") and plan.gap <= GAP
    assert plan.objective <= bound + room and direct <= plan.bound + room
    assert abs(plan.objective - direct) <= 2 * GAP * max(1.0, abs(bound)) + room
    return plan, seconds


def check_by_hand(instance: Campaign, plan: Any) -> None:
    """The plan keeps the textbook's constraints, counted with pandas."""
    got = plan.contacts
    by_product = got.groupby("offer_id")[["value", "cost"]].sum().assign(n=got.groupby("offer_id").size())
    at = [int(name[1:]) - 1 for name in by_product.index]
    fixed = instance.fixed[at].sum()
    assert (by_product["cost"] <= instance.budget[at] + 1e-6).all()
    assert (by_product["n"] >= instance.least[at] - 1e-6).all()
    assert got["value"].sum() >= instance.hurdle * (got["cost"].sum() + fixed) - 1e-6
    each = got.groupby("customer_id").size()
    assert (each <= instance.most[[int(name[1:]) - 1 for name in each.index]]).all()
    assert plan.objective == pytest.approx(got["value"].sum() - got["cost"].sum() - fixed, abs=1e-6)
    assert plan.certificate["fixed_cost"] == pytest.approx(fixed)


@pytest.mark.parametrize("seed", QUICK)
def test_a_hundred_customers(seed: int) -> None:
    instance = campaign(seed, 100)
    plan, _ = compare(instance)
    check_by_hand(instance, plan)
    assert len(plan.contacts) > 0


@pytest.mark.slow
@pytest.mark.parametrize("customers", [100, 200, 300])
@pytest.mark.parametrize("seed", range(10, 16))
def test_hundreds_of_customers(customers: int, seed: int) -> None:
    instance = campaign(seed, customers)
    plan, _ = compare(instance)
    check_by_hand(instance, plan)


def test_instances_make_all_rules_matter() -> None:
    """Some products stay closed, and budgets, minima, hurdle rate and the customers' caps bind."""
    plans = [oo.optimize(campaign(seed, 100).case().project(), gap=GAP) for seed in QUICK]
    entries = [e for plan in plans for e in plan.certificate["rules"]]
    opened = [e["opened"] for e in entries if e["name"] == "if at all"]
    assert True in opened and False in opened
    assert any(e["price"] > 1e-6 for e in entries if e["name"] == "budget")
    assert any(e["price"] < -1e-6 for e in entries if e["name"] == "hurdle rate")
    assert any(e["price"] < -1e-6 for e in entries if e["name"] == "if at all")
    assert all(e["at_cap"] > 0 for e in entries if e["name"] == "each")


@pytest.mark.parametrize("seed", range(12))
def test_small_instances_are_those_of_brute_force(seed: int) -> None:
    instance = campaign(100 + seed, 4, 3, whole=True)
    check(instance.case())


if __name__ == "__main__":  # how long instances take
    for size in (100, 200, 300):
        for number in range(10, 16):
            found, took = compare(campaign(number, size))
            print(size, number, f"{took:.2f} s", found.status, f"gap {found.gap:.1e}", len(found.contacts))
