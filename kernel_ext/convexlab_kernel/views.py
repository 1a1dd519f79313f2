"""How a live result is shown: what the page is told, beside which query it is of."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from convexlab.errors import InvalidArguments
from convexlab_kernel import display
from convexlab_kernel.results import Documents

if TYPE_CHECKING:
    from datetime import timedelta

MIME = "application/vnd.convexlab.live.v1+json"


def seconds_back(back: timedelta | float) -> float:
    """How far a slider reaches, in seconds."""
    seconds = back if isinstance(back, (int, float)) else back.total_seconds()
    if seconds <= 0:
        raise InvalidArguments(f"The slider reaches back, so not {seconds} seconds.")
    return seconds


def kind_of_view(value: object) -> str:
    """How a value shows itself: a table, a card, a metric or a tree."""
    if isinstance(value, Documents) or display.is_table(value) or is_page(value):
        return "table"
    if isinstance(value, dict) and value:
        return "card"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "metric"
    return "tree"


def is_page(value: object) -> bool:
    """Whether a value is a page of documents, as a query that paginates gives it."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("continueCursor"), str)
        and (value.get("page") == [] or display.is_table(value.get("page")))
    )


def vega_lite(chart: Any) -> dict[str, Any]:
    """A chart's specification, without data of its own."""
    made = chart.to_dict() if hasattr(chart, "to_dict") else chart
    if not isinstance(made, dict):
        message = (
            "A chart is an Altair chart or a Vega-Lite specification as a dict, not "
            f"{display.article(type(chart).__name__)}."
        )
        raise InvalidArguments(message)
    return {k: v for k, v in made.items() if k not in {"data", "datasets"}}


def widget_bundle(shown: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The anywidget view, for pages without our renderer; nothing where there is none."""
    widgets = live_widgets()
    if widgets is None:
        return {}, {}
    bundle: tuple[dict[str, Any], dict[str, Any]] = widgets.view_of(shown)
    return bundle


def live_widgets() -> Any:
    """The module of the widgets, which stands on this package and is named at run time only.

    None where it is absent, or where nobody is there to see a widget: what runs a notebook
    by itself saves the models of its widgets, and nbconvert would then write those into its
    page, where nothing feeds them, instead of the static table.
    """
    return None if is_unattended() else display.optional("convexlab_widgets.live")


def is_unattended() -> bool:
    """Whether a notebook is run with nobody before it, as by `nbconvert --execute`.

    Such a run cannot be asked for input. Voilà's cannot either, but there is a page.
    """
    ipython = sys.modules.get("IPython")
    kernel = getattr(ipython and ipython.get_ipython(), "kernel", None)
    if kernel is None or "VOILA_KERNEL_ID" in os.environ:
        return False
    return kernel.get_parent().get("content", {}).get("allow_stdin") is False
