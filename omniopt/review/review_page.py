"""The review of a finished run: filters, limits, one customer, vetoes and locks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from omniopt.errors import BadInput
from omniopt.review import overrides, pages, widgets
from omniopt.review.data import Customer, Filter, FinishedRun
from omniopt.runs.html import paragraph


def review(run: str | Path = "", reports: str | Path = "reports") -> ReviewPage:
    """Open the review of a finished run.

    Parameters
    ----------
    run : str or Path
        A run folder, or a run's name under `reports`; empty for the newest finished run.
    reports : str or Path
        The folder of runs.

    Returns
    -------
    ReviewPage

    Raises
    ------
    BadInput
        When there is no such run.
    """
    return ReviewPage(FinishedRun.open(run, reports))


class ReviewPage:
    """A finished run under review; each attribute is a part of the page, for a notebook's cells to show.

    Parameters
    ----------
    run : FinishedRun

    Attributes
    ----------
    overview, contacts, limits, customer, decisions : Widget
    """

    def __init__(self, run: FinishedRun) -> None:
        self.run = run
        self._one: Customer | None = None
        self._decided: dict[tuple[str, str], list[str]] = {}
        self.overview = widgets.page(pages.overview(run), styled=True)
        self.contacts = self._contacts()
        self.limits = self._limits()
        self.customer = self._customer()
        self.decisions = self._decisions()

    def _contacts(self) -> widgets.Widget:
        run, plan = self.run, self.run.contacts
        first, last = run.days
        channel = widgets.dropdown("every channel", sorted(plan["channel"].unique()))
        offer = widgets.dropdown("every offer", sorted(plan["offer_id"].unique()))
        customer = widgets.text_field("part of a customer id")
        days = widgets.range_of(
            [(run.day_label(day, "{0.day} {0:%b}"), day) for day in range(first, last + 1)]
        )
        sums, heat, listed = widgets.page(), widgets.page(), widgets.page()

        def draw(*_: Any) -> None:
            first, last = days.value
            found = run.matching(Filter(channel.value, offer.value, first, last, customer.value))
            widgets.show(sums, pages.sums(run, found))
            widgets.show(heat, pages.heat_map(run, run.by_channel_and_day(found, first, last)))
            widgets.show(listed, pages.contact_list(run, found))

        fields = {"Channel": channel, "Offer": offer, "Customer": customer, "Days": days}
        for field in fields.values():
            field.observe(draw, "value")
        draw()
        filters = [widgets.labelled(label, field) for label, field in fields.items()]
        return widgets.stack(widgets.row(*filters), sums, heat, listed)

    def _limits(self) -> widgets.Widget:
        rule = widgets.dropdown("every limit", list(dict.fromkeys(self.run.limits["name"])))
        binding = widgets.checkbox("only limits that bind")
        shown = widgets.page()

        def draw(*_: Any) -> None:
            widgets.show(shown, pages.limits(self.run, rule.value, binding.value))

        for field in (rule, binding):
            field.observe(draw, "value")
        draw()
        others = widgets.page(pages.contact_rules(self.run))
        return widgets.stack(widgets.row(widgets.labelled("Rule", rule), binding), shown, others)

    def _customer(self) -> widgets.Widget:
        find = widgets.text_field("part of a customer id")
        self._who, self._marked = widgets.list_of_one(9), widgets.list_of_several(7)
        shown = widgets.page()

        @widgets.told(shown)
        def draw(*_: Any) -> None:
            self._one = None
            if self._who.value is not None:
                self._one = self.run.customer(self._who.value)
                widgets.show(shown, pages.customer(self.run, self._one))
            else:
                widgets.show(shown, paragraph("No customer has this in the id.", "aside"))
            self._list_contacts()

        @widgets.told(shown)
        def search(*_: Any) -> None:
            found = self.run.customers_like(find.value)
            self._who.unobserve(draw, "value")  # drawn once, when both are set
            self._who.options = found
            self._who.index = 0 if found else None
            self._who.observe(draw, "value")
            draw()

        find.observe(search, "value")
        self._who.observe(draw, "value")
        search()
        pick = widgets.stack(widgets.labelled("Find", find, field=False), self._who)
        return widgets.stack(widgets.columns(pick, widgets.stack(shown)), self._decide())

    def _list_contacts(self) -> None:
        """List the customer's contacts, those first that are planned, each with what was decided about it."""
        one, said = self._one, []
        for kind, rows in (("planned", one.chosen), ("next best", one.next_best)) if one else ():
            for row in rows.itertuples():
                key = (row.customer_id, row.action_id)
                parts = [row.action_id, row.offer_id, row.channel, self.run.day_label(row.day)]
                said.append((f"{kind}: {' · '.join([*parts, *self._decided.get(key, ())])}", key))
        self._marked.options = said

    def _decide(self) -> widgets.Widget:
        """The form under a customer: which contacts, veto or lock, why."""
        kind = widgets.buttons_for([("Veto: never", "veto"), ("Lock: in any case", "lock")])
        reason, who = widgets.text_field("why; required"), widgets.text_field("your name; optional")
        save, said = widgets.button("Save", "check", primary=True), widgets.page()

        @widgets.told(said)
        def on_save(_: Any) -> None:
            contacts = _pairs(self._marked.value)
            self._show(overrides.add(self.run, kind.value, contacts, reason.value, who.value))
            reason.value = ""
            number = "1 contact" if len(contacts) == 1 else f"{len(contacts)} contacts"
            widgets.show(said, paragraph(f"Saved: {kind.value} of {number}.", "good"))

        save.on_click(on_save)
        return widgets.stack(
            widgets.heading("Veto or lock contacts of this customer"),
            widgets.note("Mark contacts; hold Ctrl or Shift for several."),
            self._marked,
            kind,
            widgets.row(widgets.labelled("Reason", reason), widgets.labelled("Who", who), save),
            said,
        )

    def _decisions(self) -> widgets.Widget:
        self._held, self._standing, said = widgets.page(), widgets.list_of_several(5), widgets.page()
        reason = widgets.text_field("why; optional")
        back = widgets.button("Take back", "undo")

        @widgets.told(said)
        def on_back(_: Any) -> None:
            marked = list(self._standing.value)
            if not marked:
                raise BadInput("Mark the vetoes or locks to take back first.")
            for kind in ("veto", "lock"):
                contacts = _pairs([(customer, action) for what, customer, action in marked if what == kind])
                if len(contacts):
                    self._show(overrides.add(self.run, f"un{kind}", contacts, reason.value))
            reason.value = ""
            widgets.show(said, paragraph("Taken back.", "good"))

        @widgets.told(said)
        def load() -> None:
            self._show(overrides.read(self.run))

        back.on_click(on_back)
        self._form = widgets.stack(
            widgets.note("Mark what to take back; hold Ctrl or Shift for several."),
            self._standing,
            widgets.row(widgets.labelled("Reason", reason), back),
        )
        self._form.layout.display = "none"
        load()
        return widgets.stack(self._held, self._form, said)

    def _show(self, held: overrides.Overrides) -> None:
        """Show what holds now, wherever it is to be seen."""
        widgets.show(self._held, pages.decisions(held))
        options, self._decided = [], {}
        for kind, rows in (("veto", held.vetoes), ("lock", held.locks)):
            for row in rows.itertuples():
                key = (row.customer_id, row.action_id)
                words = f"{kind}: customer {row.customer_id}, action {row.action_id}: {row.reason}"
                options.append((words, (kind, *key)))
                self._decided.setdefault(key, []).append(f"{kind} holds")
        self._standing.options = options
        self._form.layout.display = "" if options else "none"
        self._list_contacts()


def _pairs(keys: Any) -> pd.DataFrame:
    return pd.DataFrame(list(keys), columns=overrides.KEY, dtype="str")
