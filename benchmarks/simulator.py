"""Measure where the truth is known: ``python benchmarks/simulator.py [PART…] [--runs N]`` prints JSON.

Customers answer with probabilities that are drawn here and so are known. What omniopt measures from their
answers is set against them, again and again:

- ``effects``: how often the 95 % interval of a measured effect holds the true one; ``few``: the same where
  hardly anybody of those held out responds;
- ``plans``: whether the estimates of a plan that was not run are right on average, and how often their
  interval holds the truth;
- ``claims``: what a response model says of the customers it chose itself, and what one that learnt from other
  customers says of them;
- ``looks``: how often an effect that is none is found by who looks every week.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from omniopt.errors import Faults
from omniopt.knowledge import fit
from omniopt.learning.looks import boundaries
from omniopt.learning.measure import arms_of, difference, effects
from omniopt.learning.off_policy import off_policy
from omniopt.learning.outcomes import checked
from omniopt.tables import read_tables

OFFERS = ("card", "loan", "fund", "visa")
CHANNELS = ("mail", "email")
ACTIONS = [f"{offer}-{channel}" for offer in OFFERS for channel in CHANNELS]


class World:
    """Customers, what a contact does to them, and a plan.

    Parameters
    ----------
    customers : int
        How many.
    seed : int
        Of everything drawn here.
    lift : float
        What a contact adds to the chance of a response, on average; 0: nothing.
    level : float
        How many come by themselves: about 8 % of them at 3, 3 % at 1.
    """

    def __init__(self, customers: int, seed: int, lift: float = 0.02, level: float = 3.0) -> None:
        rng = np.random.default_rng([seed, 0])
        self.rng, self.size = rng, customers
        self.ids = np.array([f"c{number:06d}" for number in range(customers)])
        self.region = rng.choice(["north", "south", "west"], customers, p=[0.5, 0.3, 0.2])
        often = level * np.where(self.region == "north", 0.02, 0.04)
        # Without a contact they come by themselves with this chance, for each offer.
        self.alone = often[:, None] * rng.gamma(2.0, 0.125, (customers, len(OFFERS)))
        # With it, by so much more: for each action, of four offers on two channels.
        self.lift = lift * rng.gamma(2.0, 0.5, (customers, len(ACTIONS)))
        self.value = rng.gamma(2.0, 20.0, customers)
        self.cost = np.tile([0.6, 0.1], len(OFFERS))
        # Who makes the plan has seen the chances through a mist, and gives one contact or two, or none.
        seen = self.lift * rng.lognormal(0.0, 0.7, self.lift.shape)
        order = np.argsort(-seen, axis=1)
        number = rng.choice(3, customers, p=[0.2, 0.5, 0.3])
        rank = np.arange(len(ACTIONS))
        who, place = np.nonzero(rank < number[:, None])
        self.plan = who, order[who, place]

    def contacts(self) -> pd.DataFrame:
        """The plan."""
        who, what = self.plan
        offer, channel = np.array(OFFERS)[what // 2], np.array(CHANNELS)[what % 2]
        frame = {"customer_id": self.ids[who], "action_id": np.array(ACTIONS)[what], "offer_id": offer}
        return pd.DataFrame({**frame, "channel": channel, "date": 1, "cost": self.cost[what]})

    def chances(self, treated: np.ndarray) -> np.ndarray:
        """The chance of a response to each offer, of shape (customers, offers)."""
        p = self.alone.copy()
        who, what = self.plan
        np.add.at(p, (who, what // 2), self.lift[who, what] * treated[who])
        return p

    def experiment(self, share: float) -> tuple[pd.DataFrame, np.ndarray]:
        """Hold some customers out, and say who could be contacted."""
        treated = self.rng.random(self.size) >= share
        frame = {"customer_id": self.ids, "offer_id": "", "arm": np.where(treated, "treated", "control")}
        frame |= {"probability": np.where(treated, 1 - share, share), "stratum": self.region}
        return pd.DataFrame(frame), treated

    def answers(self, treated: np.ndarray) -> pd.DataFrame:
        """Draw what they do."""
        who, offer = np.nonzero(self.rng.random((self.size, len(OFFERS))) < self.chances(treated))
        spent = self.value[who] * self.rng.gamma(2.0, 0.5, len(who))
        frame = {"customer_id": self.ids[who], "date": 5, "offer_id": np.array(OFFERS)[offer]}
        made = pd.DataFrame({**frame, "outcome": "responded", "value": spent})
        return checked(made, None, Faults())

    def effect(self) -> dict[str, float]:
        """What the plan changes per customer: the truth."""
        one, none = self.chances(np.ones(self.size)), self.chances(np.zeros(self.size))
        who, what = self.plan
        cost = np.bincount(who, self.cost[what], self.size)
        money = ((one - none) * self.value[:, None]).sum(1) - cost
        response = (1 - (1 - one).prod(1)) - (1 - (1 - none).prod(1))
        return {"response": float(response.mean()), "money": float(money.mean())}


def measured_effects(
    runs: int, seed: int = 0, customers: int = 8000, share: float = 0.15, level: float = 3.0
) -> dict[str, object]:
    """Count how often the interval of a measured effect holds the true one."""
    held: dict[str, list[bool]] = {"response": [], "money": []}
    off: dict[str, list[float]] = {"response": [], "money": []}
    for number in range(runs):
        world = World(customers, seed + number, level=level)
        experiment, treated = world.experiment(share)
        contacts = world.contacts()
        contacts = contacts[contacts["customer_id"].isin(world.ids[treated])]
        found = effects(experiment, world.answers(treated), contacts).set_index(["scope", "metric"])
        for metric, truth in world.effect().items():
            row = found.loc[("all", metric)]
            held[metric].append(bool(row["low"] <= truth <= row["high"]))
            off[metric].append(float((row["effect"] - truth) / row["error"]))
    covered = {f"{metric}_covered": float(np.mean(of)) for metric, of in held.items()}
    return {"runs": runs, **covered, **{f"{m}_off_in_errors": float(np.mean(of)) for m, of in off.items()}}


def plans_not_run(runs: int, seed: int = 0, customers: int = 20000, share: float = 0.2) -> dict[str, object]:
    """Estimate a plan by contacts that others got at random, and compare with what it would have brought."""
    found: dict[str, list[float]] = {}
    for number in range(runs):
        world = World(customers, seed + number, lift=0.08)
        draws, plan, truth = drawn(world, share)
        for row in off_policy(draws, plan).to_dict("records"):
            for name in ("ips", "dr"):
                real = truth[row["metric"]]
                key = f"{row['metric']}_{name}"
                inside = row[f"{name}_low"] <= real <= row[f"{name}_high"]
                found.setdefault(f"{key}_off", []).append(row[name] / real - 1)
                found.setdefault(f"{key}_covered", []).append(inside)
            found.setdefault(f"{row['metric']}_predicted_off", []).append(row["predicted"] / real - 1)
    return {
        "runs": runs,
        **{key: _interval(of) if key.endswith("_off") else float(np.mean(of)) for key, of in found.items()},
    }


def drawn(world: World, share: float) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Give some customers one contact at random; a plan, what was predicted of both, and the truth."""
    rng = world.rng
    p = np.repeat(world.alone, 2, axis=1) + world.lift
    money = p * world.value[:, None] - world.cost
    # Some contacts are not allowed, so that draws have different probabilities; the plan takes none of them.
    allowed = rng.random(p.shape) < 0.8
    who, what = world.plan
    kept = allowed[who, what]
    who, what = who[kept], what[kept]
    wrong = 1.4 * p  # what is predicted is too much, as it is of what was chosen
    told = {"predicted_response": wrong, "predicted_money": wrong * world.value[:, None] - world.cost}

    def rows(customer: np.ndarray, action: np.ndarray) -> pd.DataFrame:
        frame = {"customer_id": world.ids[customer], "action_id": np.array(ACTIONS)[action]}
        return pd.DataFrame(frame | {name: of[customer, action] for name, of in told.items()})

    explored = np.flatnonzero((rng.random(world.size) < share) & allowed.any(1))
    pick = np.argmax(np.where(allowed, rng.random(p.shape), -1), axis=1)[explored]
    answered = rng.random(len(explored)) < p[explored, pick]
    spent = answered * world.value[explored] * rng.gamma(2.0, 0.5, len(explored))
    draws = rows(explored, pick).assign(
        probability=1 / allowed[explored].sum(1), response=answered, money=spent - world.cost[pick]
    )
    truth = {"response": float(p[who, what].sum()), "money": float(money[who, what].sum())}
    return draws, rows(who, what), truth


def claims(runs: int, seed: int = 0, customers: int = 6000, attributes: int = 25) -> dict[str, object]:
    """Let a model choose a tenth of the customers; ask it what they bring, and one that learnt elsewhere."""
    found: dict[str, list[float]] = {}
    for number in range(runs):
        rng = np.random.default_rng([seed + number, 1])
        x = rng.normal(size=(customers, attributes))
        p = 1 / (1 + np.exp(2.0 - 0.35 * x[:, 0]))  # one attribute matters, the others look as if they did
        y = rng.random(customers) < p
        mixed = rng.permutation(customers)
        for name, scored in (("plain", _plain), ("calibrated", _calibrated)):
            if name == "calibrated" and number >= runs // 10:  # it takes much longer
                continue
            first, second = (scored(x, y, half) for half in (mixed[::2], mixed[1::2]))
            chosen = np.argsort(-first, kind="stable")[: customers // 10]
            truth = p[chosen].sum()
            found.setdefault(f"{name}_by_the_model_that_chose", []).append(first[chosen].sum() / truth - 1)
            found.setdefault(f"{name}_cross_fitted", []).append(second[chosen].sum() / truth - 1)
    return {"runs": runs, **{f"{key}_off": _interval(values) for key, values in found.items()}}


def _plain(x: np.ndarray, y: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Score everyone by a logistic regression without penalty or calibration."""
    model = LogisticRegression(C=np.inf).fit(x[half], y[half])
    return model.predict_proba(x)[:, 1]


def _calibrated(x: np.ndarray, y: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Score everyone by the package's own model, which is calibrated on a later period."""
    ids = np.array([f"c{i:05d}" for i in range(len(y))])
    history = {"customer_id": ids, "offer_id": "card", "channel": "mail", "date": -1 - np.arange(len(y)) % 60}
    history["outcome"] = np.where(y, "responded", "delivered")
    customers = pd.DataFrame(x, columns=[f"x{k}" for k in range(x.shape[1])]).assign(customer_id=ids)
    given = {"customers": customers, "offers": pd.DataFrame({"offer_id": ["card"]})}
    given |= {"channels": pd.DataFrame({"channel": ["mail"]}), "history": pd.DataFrame(history)}
    faults = Faults()
    tables = read_tables(given, None, None, {}, faults)
    faults.raise_if_any()
    scores = fit(tables, 0, pd.Index(ids[half])).score()
    return scores.set_index("customer_id")["p_response"].reindex(ids).to_numpy()


def _interval(values: list[float]) -> list[float]:
    """Return the mean with the ends of its 95 % interval: low, mean, high."""
    reach = 1.96 * float(np.std(values)) / len(values) ** 0.5
    return [float(np.mean(values)) + end * reach for end in (-1, 0, 1)]


def early_looks(runs: int, seed: int = 0, customers: int = 4000, weeks: int = 6) -> dict[str, object]:
    """Look every week at contacts that change nothing, and count who ever finds an effect."""
    usual = guarded = 0
    times = np.arange(1, weeks + 1) / weeks
    reach = boundaries(times)
    for number in range(runs):
        world = World(customers, seed + number, lift=0.0)
        experiment, _ = world.experiment(0.2)
        arms = arms_of(experiment)
        p = 1 - (1 - world.alone).prod(1)
        day = np.where(world.rng.random(customers) < p, world.rng.random(customers), 2.0)
        seen = [(day <= time).astype(float) for time in times]
        usual += any(difference(y, arms)["p"] < 0.05 for y in seen)
        guarded += any(difference(y, arms, z)["p"] < 0.05 for y, z in zip(seen, reach, strict=True))
    return {"runs": runs, "found_with_usual_interval": usual / runs, "found_with_guard": guarded / runs}


def few_responders(runs: int, seed: int = 0) -> dict[str, object]:
    """Measure as `measured_effects` where of 800 customers held out only some 25 respond."""
    return measured_effects(runs, seed, share=0.1, level=1.0)


PARTS = {
    "effects": measured_effects,
    "few": few_responders,
    "plans": plans_not_run,
    "claims": claims,
    "looks": early_looks,
}


def main() -> None:
    """Run the parts that were asked for, and print what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="which parts; all if none is named")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    told = {name: PARTS[name](given.runs, given.seed) for name in given.part or PARTS}
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
