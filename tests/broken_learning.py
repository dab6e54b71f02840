"""The ways in which the tests of bad input break what is linked, learnt and measured."""

from __future__ import annotations

from broken import GOOD, Break, table
from shop_and_calls import FILES

LEARNING = dict(GOOD)
LEARNING["policy.yaml"] = str(GOOD["policy.yaml"]) + "learning: {control: {share: 0.1}}\n"

LINKED = dict(FILES)
LINKED["omniopt.yaml"] = FILES["omniopt.yaml"].replace(
    "household: [street, city]", "household: [street, city], links: links.csv, threshold: 0.9"
)
HEADER = "source_a,id_a,source_b,id_b,probability\n"
LINKED["links.csv"] = HEADER + "shop,a3,crm,3,0.5\n"


def _response(said: str, *words: str, faults: int = 1) -> Break:
    return table("omniopt.yaml", "seed: 1", f"seed: 1\n{said}", *words, faults=faults)


def _learning(said: str, *words: str) -> Break:
    return table("policy.yaml", "learning: {control: {share: 0.1}}", f"learning: {said}", *words)


def _share(value: str) -> Break:
    return _learning(f"{{control: {{share: {value}}}}}", "learning", "control.share")


def _source(old: str, new: str, *words: str) -> Break:
    return table("omniopt.yaml", old, new, *words)


def _identity(said: str, *words: str) -> Break:
    line = FILES["omniopt.yaml"].split("identity: ")[1].split("\n")[0]
    line = line.replace("city]", "city], links: links.csv, threshold: 0.9")
    return table("omniopt.yaml", f"identity: {line}", f"identity: {said}", *words)


def _links(rows: str, *words: str) -> Break:
    return table("links.csv", None, rows, *words)


LEARNT: dict[str, Break] = {
    "response is a list": _response("response: [logistic]", "response"),
    "response is text": _response("response: logistic", "response"),
    "response is empty": _response("response:", "response"),
    "unknown estimator": _response("response: {estimator: logistics}", "'logistics'", "'logistic'"),
    "estimator is a list": _response("response: {estimator: [logistic]}", "response.estimator"),
    "unknown option": _response("response: {options: {c: 1}}", "'c'", "'C'"),
    "options are a list": _response("response: {options: [C]}", "response.options"),
    "option without end": _response(
        f"response: {{estimator: random_forest, options: {{n_estimators: 1{24 * '0'}}}}}", "n_estimators"
    ),
    "half a tree": _response(
        "response: {estimator: random_forest, options: {n_estimators: 2.5}}", "n_estimators", "whole number"
    ),
    "share of features": _response(
        "response: {estimator: random_forest, options: {max_features: 2}}", "max_features", "at most 1"
    ),
    "misspelt key of response": _response("response: {estimater: logistic}", "'estimater'", "'estimator'"),
    "without is text": _response("response: {without: region}", "response.without"),
    "without is a number": _response("response: {without: [1]}", "response.without"),
    "unknown caution": _response("response: {caution: shrinks}", "response.caution"),
    "annoyance is a number": _response("annoyance: 25", "annoyance"),
    "annoyance without a loss": _response("annoyance: {}", "annoyance", "'loss'"),
    "annoyance for given candidates": _response("annoyance: {loss: 1}", "annoyance", "candidates"),
    "misspelt key of annoyance": _response("annoyance: {los: 1}", "'los'", "'loss'", faults=2),
    "learning is a list": _learning("[control]", "'learning'"),
    "learning is false": _learning("false", "'learning'"),
    "misspelt group": _learning("{controll: {share: 0.1}}", "'controll'", "'control'"),
    "misspelt key of a group": _learning("{control: {shar: 0.1}}", "'control.shar'", "'share'"),
    "control of nobody": _learning("{control: {}}", "share or per_offer"),
    "control is a number": _learning("{control: 0.1}", "control"),
    "exploration of nobody": _learning("{explore: {}}", "'explore.share'", "missing"),
    "exploration by": _learning("{explore: {share: 0.1, by: [customer.region]}}", "'explore.by'"),
    "unknown column of by": _learning(
        "{control: {share: 0.1, by: [customer.regoin]}}", "'customer.regoin'", "customer.region"
    ),
    "column of by without its table": _learning("{control: {share: 0.1, by: [region]}}", "'region'"),
    "by the customer's id": _learning(
        "{control: {share: 0.1, by: [customer.customer_id]}}", "'customer.customer_id'", "customer.region"
    ),
    "by a column of offers": _learning("{control: {share: 0.1, by: [offer.category]}}", "offer.category"),
    "unknown unit": _learning("{control: {share: 0.1, unit: agent}}", "control.unit", "agent"),
    "key is a list": _learning("{control: {share: 0.1, key: [1]}}", "control.key"),
}
for _value in ("one", "true", "0", "-1", ".inf", ".nan", "", "[1]", f"1{400 * '0'}"):
    LEARNT[f"C is {_value[:9]}"] = _response(f"response: {{options: {{C: {_value}}}}}", "response.options")
for _value in ("-1", "much", "true", ".inf", ".nan", "", "customer.", "offer.value", "[1]"):
    LEARNT[f"loss is {_value}"] = _response(f"annoyance: {{loss: {_value}}}", "annoyance.loss")
for _value in ("0", "x", "1.5", "true", "99999999999999"):
    LEARNT[f"days are {_value}"] = _response(f"annoyance: {{loss: 1, days: {_value}}}", "annoyance.days")
for _value in ("0", "1", "2", "-0.1", "half", "true", ".nan", ".inf", "'0.1'", "5%", "[0.1]"):
    LEARNT[f"share is {_value}"] = _share(_value)
    LEARNT[f"explored share is {_value}"] = _learning(f"{{explore: {{share: {_value}}}}}", "explore.share")

SOURCES: dict[str, Break] = {
    "unknown kind": _source("kind: consents", "kind: consent", "sources.newsletter.kind"),
    "kind is a list": _source("kind: consents", "kind: [consents]", "sources.newsletter.kind"),
    "no kind": _source("    kind: consents\n", "", "sources.newsletter", "'kind'", "missing"),
    "no table": _source("    table: newsletter.csv\n", "", "sources.newsletter", "'table'", "missing"),
    "table of a source is a list": _source("newsletter.csv", "[a.csv]", "sources.newsletter.table"),
    "columns are a list": _source("{email: address, granted: yes_no}", "[email]", "newsletter.columns"),
    "column is empty": _source("email: address", "email: ", "sources.newsletter.columns.email"),
    "values are a list": _source("values: {channel: call}", "values: [call]", "sources.calls.values"),
    "unknown ids_of": _source("ids_of: shop", "ids_of: shopp", "visits.ids_of", "'shopp'", "'shop'"),
    "ids of contacts": _source("ids_of: shop", "ids_of: calls", "visits.ids_of", "'calls'"),
    "ids of itself": _source("ids_of: shop", "ids_of: visits", "visits.ids_of", "'visits'"),
    "trust is text": _source("trust: 3", "trust: high", "sources.crm.trust", "'high'"),
    "trust is NaN": _source("trust: 3", "trust: .nan", "sources.crm.trust"),
    "trust is infinite": _source("trust: 3", "trust: .inf", "sources.crm.trust"),
    "misspelt key of a source": _source("trust: 3", "trusts: 3", "sources.crm", "'trusts'", "'trust'"),
    "identity is a list": _identity("[a]", "identity"),
    "keys are none": _identity("{keys: []}", "identity.keys"),
    "keys are text": _identity("{keys: email}", "identity.keys"),
    "unknown key": _identity("{keys: [emial]}", "emial"),
    "country in letters": _identity("{country_code: DE}", "identity.country_code", "'DE'"),
    "largest is 0": _identity("{largest: 0}", "identity.largest"),
    "unknown way to settle": _identity("{settle: newst}", "identity.settle", "'newst'"),
    "unknown column of households": _identity("{household: [stret]}", "'stret'", "'street'"),
    "unknown comparison of links": _identity("{compare: {city: nam}}", "identity.compare.city"),
    "unknown column of links": _identity("{compare: {cty: name}}", "'cty'", "'city'"),
    "misspelt key of identity": _identity("{treshold: 0.9}", "'treshold'", "'threshold'"),
    "links are empty": _links("", "empty"),
    "links without probabilities": _links("source_a,id_a,source_b,id_b\ncrm,2,shop,a2\n", "probability"),
    "link of an unknown source": _links(HEADER + "crmm,2,shop,a2,0.9\n", "source_a", "'crmm'", "'crm'"),
    "links are binary": _links("\0PK", "links.csv"),
    "source is empty": table("crm.csv", None, "", "empty"),
    "person without an id": table("crm.csv", "\n2,", "\n,", "row 2", "column id", "empty"),
    "call without a day": table("calls.csv", "2026-11-04", "", "row 1", "column day", "empty"),
    "unknown outcome of a call": table(
        "calls.csv", "rejected", "rejectd", "row 1", "'rejectd'", "'rejected'"
    ),
    "visit of boundless value": table("visits.csv", ",5", ",1e308", "row 1", "column value", "too large"),
    "visit of infinite value": table("visits.csv", ",5", ",inf", "row 1", "column value"),
    "consent that is neither": table("newsletter.csv", "true", "maybe", "row 1", "column yes_no", "'maybe'"),
}
for _value in ("0", "2", "-1", ".nan", "x"):
    SOURCES[f"threshold is {_value}"] = _identity(f"{{threshold: {_value}}}", "identity.threshold")
for _value in ("-1", "2", "NaN", "inf", "likely", ""):
    SOURCES[f"probability is {_value}"] = _links(f"{HEADER}crm,2,shop,a2,{_value}\n", "row 1", "probability")

#: Outcomes: what to replace in a good file, and what is told.
OUTCOMES: dict[str, tuple[str | None, str, tuple[str, ...]]] = {
    "empty": (None, "", ("empty",)),
    "no customers": ("customer_id", "customer", ("column customer_id", "missing")),
    "no days": ("date", "day", ("column date", "missing")),
    "unknown outcome": ("responded", "respond", ("'respond'", "'responded'")),
    "value is text": ("40.0", "forty", ("column value", "row 1")),
    "value is NaN": ("40.0", "NaN", ("column value", "row 1")),
    "value is too large": ("40.0", "1e308", ("column value", "row 1", "below 1e+15")),
    "value is infinite": ("40.0", "inf", ("column value", "row 1")),
    "response without a value": ("40.0", "", ("column value", "row 1")),
    "column twice": ("channel", "date", ("column date", "twice")),
    "nothing happened yet": ("2026-12", "2026-10", ("nothing is known to have happened",)),
}
#: Files of the run's folder that are damaged.
DAMAGED = ("certificate.json", "manifest.json", "measured.json", "plan.parquet", "experiment.parquet")
