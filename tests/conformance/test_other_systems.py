"""The page on other systems' rules: every policy on it is solved in a world that was made by hand.

The worlds stand here by the page's headings, each with the plan that a person would expect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from bank import FOUR_WEEKS, actions_of, contacts, decide, entry, project, table, tables_of

import omniopt as oo
from omniopt.audit import verify

PAGE = Path(__file__).parents[2] / "docs" / "other_systems.md"
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class World:
    """Who could get what, and what the page's policy makes of it.

    ``shows`` holds numbers of the certificate, by rule name and key.
    """

    candidates: pd.DataFrame
    plan: list[str]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    shows: Mapping[tuple[str, str], float] = field(default_factory=dict)
    multi_valued: Mapping[str, str] = field(default_factory=dict)

    def decide(self, policy: Mapping[str, Any]) -> Any:
        rules = {"objective": "value"} | dict(policy)
        tables = tables_of(self.candidates, **self.tables)
        return decide(rules, tables, FOUR_WEEKS, multi_valued=dict(self.multi_valued))

    def project(self, policy: Mapping[str, Any]) -> oo.Project:
        rules = {"objective": "value"} | dict(policy)
        tables = tables_of(self.candidates, **self.tables)
        return project(rules, tables, FOUR_WEEKS, multi_valued=dict(self.multi_valued))


def could(*lines: str, columns: str = "customer_id action_id value") -> pd.DataFrame:
    return table(columns, *lines)


COSTS = "customer_id action_id value cost"
PAST = "customer_id offer_id channel date outcome"
OFFERS = table("offer_id category tier", "loan credit low", "card plastic low", "fund investment high")

A_WEEK = could(
    "ann standard-email-1 9", "bob standard-email-1 8", "bob diamond-email-1 7", "bob gold-email-2 1",
    "cid standard-email-2 6", "dan gold-email-1 2", "eve platinum-email-2 4",
)  # fmt: skip

WORLDS = {
    # The call of the day before the horizon is in the window of days 0 to 6 with days 1 and 3. Of the two
    # cards that are wished for there is one, which is worth its loss of 5.
    "Unica: Min/Max # Offers Capacity": World(
        could("ann loan-call-1 10", "bob loan-call-3 9", "cid loan-call-7 8", "dan loan-call-8 7",
              "eve card-email-2 -5"),
        ["ann loan-call-1", "cid loan-call-7", "dan loan-call-8", "eve card-email-2"],
        {"history": table(PAST, "eve loan call 0 sent")},
        {("cards", "missed_by"): 1, ("cards", "penalty_paid"): 1000},
    ),
    # 30 November is day 8, 1 December day 9: one call before, two from then on.
    "Unica: rule exceptions": World(
        could("ann loan-call-7 10", "bob loan-call-8 9", "cid loan-call-9 8", "dan loan-call-10 7",
              "eve loan-call-11 6"),
        ["ann loan-call-7", "cid loan-call-9", "dan loan-call-10"],
    ),
    # Two calls for 5 each earn more than the best one; e-mails are outside.
    "Unica: Custom Capacity, sum": World(
        could("ann loan-call-1 10 6", "bob loan-call-1 9 5", "cid loan-call-1 8 5", "dan loan-email-1 1 100",
              columns=COSTS),
        ["bob loan-call-1", "cid loan-call-1", "dan loan-email-1"],
        shows={("budget", "used"): 10},
    ),
    # 5, 8 and 8 are 7 on average: the third, at a loss, makes room for the first. The card's 0 is outside.
    "Unica: Custom Capacity, average": World(
        could("ann loan-call-1 10 5", "bob loan-call-1 9 8", "cid loan-call-1 -1 8", "dan card-call-1 1 0",
              columns="customer_id action_id value rate"),
        ["ann loan-call-1", "bob loan-call-1", "cid loan-call-1", "dan card-call-1"],
        {"offers": OFFERS},
        {("average rate", "used"): 7},
    ),
    # Ann could get one only and gets none; Bob gets his best three; Cid is no newcomer.
    "Unica: Min/Max # Offers For Each Customer": World(
        could("ann loan-email-1 9", "bob loan-email-1 5", "bob card-email-8 4", "bob loan-email-15 3",
              "bob card-email-22 2", "cid loan-email-1 1"),
        ["bob card-email-8", "bob loan-email-1", "bob loan-email-15", "cid loan-email-1"],
        {"customers": table("customer_id segment", "ann new", "bob new", "cid old")},
    ),
    # Two offers in one letter are one package; Bob's e-mail of five days before is one of his two.
    "Unica: Max # Packages": World(
        could("ann loan-mail-1 5", "ann card-mail-1 4", "ann loan-email-3 3", "ann card-email-9 2",
              "bob loan-mail-1 5", "bob card-email-2 4", "bob card-email-20 3"),
        ["ann card-mail-1", "ann loan-email-3", "ann loan-mail-1", "bob loan-mail-1"],
        {"history": table(PAST, "bob fund email -4 sent")},
    ),
    # The loan once, by the better channel; Bob has had it ten days ago.
    "Unica: Max # Duplicate Offers": World(
        could("ann loan-email-1 5", "ann loan-mail-8 6", "ann card-email-1 2", "bob loan-mail-5 4",
              "bob card-mail-5 1"),
        ["ann card-email-1", "ann loan-mail-8", "bob card-mail-5"],
        {"history": table(PAST, "bob loan email -5 sent")},
    ),
    # Days 1 and 5 clash, 1 and 12 do not; Bob's upgrade comes first and clashes too.
    "Unica: Never A with B": World(
        could("ann renewal-mail-1 7", "ann upgrade-mail-5 6", "ann upgrade-mail-12 4", "bob upgrade-mail-1 3",
              "bob renewal-mail-4 5"),
        ["ann renewal-mail-1", "ann upgrade-mail-12", "bob renewal-mail-4"],
    ),
    # High then low is forbidden, low then high is not; Cid got the high tier five days before.
    "Unica: Never A followed by B": World(
        could("ann fund-mail-1 5", "ann loan-mail-4 3", "bob loan-mail-1 3", "bob fund-mail-4 5",
              "cid loan-mail-2 2", "cid card-mail-7 1"),
        ["ann fund-mail-1", "bob fund-mail-4", "bob loan-mail-1", "cid card-mail-7"],
        {"offers": OFFERS, "history": table(PAST, "cid fund mail -3 sent")},
    ),
    # A letter at a loss of 2 is worth the call of 5, one at a loss of 6 is not; Dan has had his letter.
    "Unica: B only with A": World(
        could("ann initial-mail-1 -2", "ann followup-call-8 5", "bob initial-mail-1 -6",
              "bob followup-call-8 5", "cid followup-call-3 5", "dan followup-call-2 4"),
        ["ann followup-call-8", "ann initial-mail-1", "dan followup-call-2"],
        {"history": table(PAST, "dan initial mail -10 sent")},
    ),
    # Ann is among the best and is not called; gold for nobody else, with or without a segment.
    "Unica: Customers In": World(
        could("ann gold-mail-1 5", "ann loan-call-1 5", "bob gold-mail-1 5", "bob loan-call-1 5",
              "cid gold-mail-1 5", "cid loan-call-1 5"),
        ["ann gold-mail-1", "bob loan-call-1", "cid loan-call-1"],
        {"customers": table("customer_id segment", "ann best;DoNotCall", "bob new", "cid -")},
        multi_valued={"customer.segment": ";"},
    ),
    # Only the call about the loan to Ann is all three: little, dear, and a call.
    "Unica: Interactions Where": World(
        could("ann loan-call-1 5", "ann loan-mail-1 4", "ann card-call-1 3", "bob loan-call-1 5"),
        ["ann card-call-1", "ann loan-mail-1", "bob loan-call-1"],
        {"customers": table("customer_id worth", "ann 50", "bob 150"),
         "offers": table("offer_id value", "loan 20", "card 5")},
    ),
    # The fund has to be among the contacts and takes half the budget.
    "SAS: aggregate constraints": World(
        could("ann loan-call-1 10 5", "bob loan-call-1 9 5", "cid fund-mail-1 1 5", columns=COSTS),
        ["ann loan-call-1", "cid fund-mail-1"],
        {"offers": OFFERS},
    ),
    # 5 + 0 of profit on a cost of 10 is a ratio of 0.5; with Cid's -1 on 4 more it were 0.29.
    "SAS: ratio constraints": World(
        could("ann loan-call-1 10 5", "bob loan-call-1 5 5", "cid loan-call-1 3 4", columns=COSTS),
        ["ann loan-call-1", "bob loan-call-1"],
        shows={("profit per cost", "used"): 0.5},
    ),
    # With two Visa hours there may be three of mortgages: 3 of 5.
    "SAS: percentages": World(
        could("ann home-call-1 9", "bob home-call-1 8", "cid home-call-1 7", "dan home-call-1 6",
              "eve visa-call-1 1", "fay visa-call-1 1"),
        ["ann home-call-1", "bob home-call-1", "cid home-call-1", "eve visa-call-1", "fay visa-call-1"],
        {"offers": table("offer_id category", "home mortgage", "visa card"),
         "channels": table("channel hours", "call 1")},
    ),
    # Ann's 25 pay for the loan and the fund; Bob is no high risk, and old enough to get a fund at a loss.
    "SAS: customer-level constraints": World(
        could("ann loan-call-1 9 20", "ann card-mail-1 5 10", "ann fund-mail-8 4 5", "bob fund-mail-1 -1 5",
              "bob loan-call-1 9 40", columns=COSTS),
        ["ann fund-mail-8", "ann loan-call-1", "bob fund-mail-1", "bob loan-call-1"],
        {"offers": OFFERS, "customers": table("customer_id risk age", "ann high 40", "bob low 70")},
    ),
    # Two letters to the household of Ann and Bob; the call for 15 does not fit beside them.
    "SAS: household-level constraints": World(
        could("ann loan-mail-1 6 10", "ann card-mail-2 5 5", "bob loan-mail-3 4 5", "bob loan-call-1 1 15",
              "cid loan-mail-1 2 20", columns=COSTS),
        ["ann card-mail-2", "ann loan-mail-1", "cid loan-mail-1"],
        {"customers": table("customer_id household_id", "ann H1", "bob H1", "cid H2")},
    ),
    # An e-mail on Sunday, the next on Wednesday; two letters about X to the household, the least bad ones.
    "SAS: contact policies": World(
        could("ann loan-email-1 5", "ann loan-email-3 6", "ann loan-email-4 5", "ann X-mail-1 -1",
              "bob X-mail-8 -1", "ann X-mail-15 -3"),
        ["ann X-mail-1", "ann loan-email-3", "bob X-mail-8"],
        {"customers": table("customer_id household_id", "ann H1", "bob H1"),
         "history": table(PAST, "ann card email 0 sent")},
    ),
    # Fourteen days after the call it is free again.
    "SAS: blocking": World(
        could("ann fund-call-1 5", "ann loan-email-14 3", "ann loan-email-15 2", "bob loan-email-11 3",
              "bob loan-email-12 2"),
        ["ann fund-call-1", "ann loan-email-15", "bob loan-email-12"],
        {"offers": OFFERS, "history": table(PAST, "bob fund call -2 sent")},
    ),
    # Loans to two at a loss; cards to two, one at a loss; funds to nobody, since there is one candidate.
    "SAS: cell size": World(
        could("ann loan-mail-1 -1", "bob loan-mail-1 -2", "cid loan-mail-1 -5", "ann card-mail-2 5",
              "bob card-mail-2 -1", "cid fund-mail-2 3"),
        ["ann card-mail-2", "ann loan-mail-1", "bob card-mail-2", "bob loan-mail-1"],
        {"offers": OFFERS},
    ),
    # Miller has hours for two calls on the first day and none on the second, Smith for one.
    "SAS: agents": World(
        could("ann loan-call-1 5", "bob loan-call-1 4", "cid loan-call-1 3", "cid loan-call-2 9",
              "dan loan-call-1 2", "eve loan-call-1 3"),
        ["ann loan-call-1", "bob loan-call-1", "eve loan-call-1"],
        {"customers": table("customer_id agent_id", "ann miller", "bob miller", "cid miller", "dan smith",
                            "eve smith"),
         "channels": table("channel hours", "call 2"),
         "agents": table("agent_id date hours", "miller 1 4", "miller 2 0", "smith 1 2")},
    ),
    # As with Unica's B only with A; 7 may come without 4.
    "SAS: follow-up": World(
        could("ann Comm04-mail-1 5", "ann Comm07-mail-8 -1", "bob Comm04-mail-1 5", "bob Comm07-mail-8 -9",
              "cid Comm07-mail-8 2"),
        ["ann Comm04-mail-1", "ann Comm07-mail-8", "cid Comm07-mail-8"],
    ),
    # 0.02 and 0.06 are 0.04 on average: shown, and nothing else.
    "SAS: report only": World(
        could("ann loan-mail-1 5 0.02", "bob loan-mail-1 3 0.06",
              columns="customer_id action_id value response"),
        ["ann loan-mail-1", "bob loan-mail-1"],
        shows={("response of letters", "used"): 0.04, ("response of letters", "price"): 0},
    ),
    # Seen for the second time on day -1: no loan up to day 5. Refused on day -2: no plastic up to day 2.
    "Pega: contact policy with suppression": World(
        could("ann loan-email-5 5", "ann loan-email-6 4", "ann card-email-5 1", "bob card-mail-2 5",
              "bob card-mail-3 4", "bob loan-mail-2 1"),
        ["ann card-email-5", "ann loan-email-6", "bob card-mail-3", "bob loan-mail-2"],
        {"offers": OFFERS, "history": table(PAST, "ann loan email -5 opened", "ann loan email -1 opened",
                                            "bob card email -2 rejected")},
    ),
    # Two e-mails from Monday to Sunday, the next on the Monday after; of any kind three in seven days.
    "Pega: outbound channel limits": World(
        could("ann loan-email-1 5", "ann loan-email-3 4", "ann loan-email-7 3", "ann loan-email-8 6",
              "ann card-mail-4 1.0", "ann card-mail-5 0.5"),
        ["ann card-mail-4", "ann loan-email-1", "ann loan-email-3", "ann loan-email-8"],
    ),
    # Who comes first would take both standard cards, for 9 + 8, and leave 4 to Eve. Bob's diamond leaves
    # the second card to Cid: 9 + 7 + 6.
    "Pega: volume constraint": World(
        A_WEEK,
        ["ann standard-email-1", "bob diamond-email-1", "cid standard-email-2"],
        {"actions": actions_of(A_WEEK).assign(week=1),
         "offers": table("offer_id type", "standard plain", "gold plain", "diamond visa", "platinum visa")},
    ),
}  # fmt: skip
WATCHED = {"SAS: report only"}  # the plan is the same without it


def blocks() -> dict[str, list[dict[str, Any]]]:
    """The page's policies by the heading that they stand under."""
    text = PAGE.read_text(encoding="utf-8")
    headings = [(match.start(), match[1]) for match in HEADING.finditer(text)]
    found: dict[str, list[dict[str, Any]]] = {}
    for match in FENCED.finditer(text):
        heading = [title for at, title in headings if at < match.start()][-1]
        found.setdefault(heading, []).append(yaml.safe_load(match[1]))
    return found


POLICIES = blocks()


def test_every_policy_of_the_page_has_a_world() -> None:
    assert set(POLICIES) == set(WORLDS)
    assert {heading for heading, found in POLICIES.items() if len(found) != 1} == set()


@pytest.mark.parametrize("heading", WORLDS)
def test_the_plan_is_what_a_person_expects(heading: str) -> None:
    world = WORLDS[heading]
    plan = world.decide(POLICIES[heading][0])
    assert contacts(plan) == world.plan
    for (rule, key), number in world.shows.items():
        assert entry(plan, rule)[key] == pytest.approx(number), (rule, key)


@pytest.mark.parametrize("heading", WORLDS)
def test_the_check_finds_the_same(heading: str, tmp_path: Path) -> None:
    whole = WORLDS[heading].project(POLICIES[heading][0])
    oo.optimize(whole, gap=0.0).save(tmp_path)
    result = verify(tmp_path, whole)
    assert [str(finding) for finding in result.findings] == []
    assert result.ok


@pytest.mark.parametrize("heading", WORLDS)
def test_every_rule_of_the_policy_changes_the_plan(heading: str) -> None:
    """A world in which a rule could as well be left out would not show what it does."""
    world, policy = WORLDS[heading], POLICIES[heading][0]
    idle = []
    for section, rules in policy.items():
        for rule in rules:
            rest = policy | {section: [other for other in rules if other is not rule]}
            if contacts(world.decide(rest)) == world.plan:
                idle.append(rule["name"])
    assert idle == [rule["name"] for rules in policy.values() for rule in rules if heading in WATCHED]


def test_the_links_of_the_table_lead_to_headings() -> None:
    text = PAGE.read_text(encoding="utf-8")
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(text)}
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(links) > 20
    assert set(links) - anchors == set()
