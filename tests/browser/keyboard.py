"""The keyboard alone: what can be done on a part of the page, and which keys do it.

`Walk.everything()` finds what takes a click, a change, a drag or a drop there, whoever
made it, and goes through the part by Tab. What Tab does not come to has another way, which
is named here, or the walk fails. `Walk.act()` does one thing by keys. In the end
`Walk.check()` says what was found and never done: so a new action without keys fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

#: What is done by pointer only, and the action that does the same.
OTHER_WAYS = {
    ("convexlab-line", "onDragStart"): "Add a cell *",
    ("convexlab-entry", "onDrop"): "Import a file into *",
    ("convexlab-dropzone", "onDrop"): "Store files",
    # The grid inside has keys of its own; proposals are gone through in their field.
    ("convexlab-host", "onClick"): "Edit",
    ("convexlab-proposal", "onMouseDown"): "SQL statement",
}
#: More than any part has, its views' own included.
MOST_STOPS = 120
FIND = """(root) => {
    const native = "a[href], button, input, select, textarea, summary, [tabindex], [role=button]";
    const handlers = ["onClick", "onMouseDown", "onPointerDown", "onDoubleClick", "onDrop", "onDragStart"];
    const name = (element) => element.ariaLabel
        || [...(element.labels ?? [])].map((label) => label.textContent.trim()).join(" ")
        || element.textContent.trim();
    const found = [];
    for (const element of root.querySelectorAll("*")) {
        if (!element.checkVisibility()) continue;
        const key = Object.keys(element).find((key) => key.startsWith("__reactProps$"));
        const takes = handlers.filter((each) => element[key]?.[each]);
        const isNative = element.matches(native) && element.tabIndex >= 0 && !element.disabled;
        if (isNative || takes.length > 0) {
            found.push({ name: name(element), takes, isNative, classes: [...element.classList],
                         group: element.type === "radio" ? element.name : "" });
        }
    }
    return found;
}"""
LISTEN = """(root) => {
    window.reached = [];
    const name = (element) => element.ariaLabel
        || [...(element.labels ?? [])].map((label) => label.textContent.trim()).join(" ")
        || element.textContent.trim();
    window.reachedBy?.abort();
    window.reachedBy = new AbortController();
    root.addEventListener("focusin", ({ target }) => window.reached.push(
        { name: name(target), group: target.type === "radio" ? target.name : "" },
    ), { signal: window.reachedBy.signal });
    root.closest(".convexlab-section").focus();
}"""


@dataclass
class Walk:
    """What was found and done on a page."""

    page: Page
    found: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)

    def everything(self, part: Locator) -> None:
        """Go through all of a part by Tab; again, if something has come meanwhile."""
        there, reached = part.evaluate(FIND), self._reached(part)
        while there != (now := part.evaluate(FIND)):
            there, reached = now, self._reached(part)
        names = {each["group"] or each["name"] for each in reached}
        actions = [each for each in there if each["isNative"]]
        missed = {each["group"] or each["name"] for each in actions} - names
        assert missed == set(), f"Tab does not come to {missed}; it comes to {names}"
        self.found |= {each["name"] for each in actions}
        for each in there:
            if not each["isNative"]:
                self._expect_other_way(each)

    def _reached(self, part: Locator) -> list[dict[str, str]]:
        part.evaluate(LISTEN)
        for _ in range(MOST_STOPS):
            self.page.keyboard.press("Tab")
            if not part.evaluate("part => part.contains(document.activeElement)"):
                break
        return list(self.page.evaluate("window.reached"))

    def _expect_other_way(self, pointed: dict[str, Any]) -> None:
        for way in pointed["takes"]:
            others = [
                other
                for (class_, taken), other in OTHER_WAYS.items()
                if class_ in pointed["classes"] and taken == way
            ]
            assert others, f"only a pointer does {way} of {pointed}"
            found = any(fnmatchcase(name, others[0]) for name in self.found)
            assert found, f"{others[0]!r} is to do the same as {way} of {pointed}"

    def act(self, part: Locator, name: str, *keys: str) -> None:
        """Press keys on what is called so; `"=text"` is typed."""
        self.at(part, name).focus()
        self.done.add(name)
        for key in keys:
            if key.startswith("="):
                self.page.keyboard.type(key[1:])
            else:
                self.page.keyboard.press(key)

    def at(self, part: Locator, name: str) -> Locator:
        """What is called so."""
        roles = (
            "button",
            "textbox",
            "searchbox",
            "combobox",
            "checkbox",
            "radio",
            "link",
        )
        found = part.get_by_role(roles[0], name=name, exact=True)  # type: ignore[arg-type]
        for role in roles[1:]:
            found = found.or_(part.get_by_role(role, name=name, exact=True))  # type: ignore[arg-type]
        return found.or_(part.get_by_label(name, exact=True)).first

    def expect_focus_in(self, part: Locator) -> None:
        """The keyboard goes on where it was."""
        expect(part.locator(":focus")).to_have_count(1)

    def check(self, *, but: set[str]) -> None:
        """Everything that was found was done.

        Args:
            but: patterns of what is the same as something that was done.
        """
        left = {
            name
            for name in self.found - self.done
            if not any(fnmatchcase(name, pattern) for pattern in but)
        }
        assert left == set(), f"nobody does these by keys: {left}"
