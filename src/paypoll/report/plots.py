"""The report's plots: SVG for the inside of a page, without a script, a style or an address of its own.

pygal is loaded here alone. It writes a script, comments with addresses and ten kilobytes of style into each plot; all
that goes, and the page's own style takes its place. So the plots turn dark with the page.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Comment, Element, SubElement

from pygal import Bar, PluginImportFixer, StackedBar
from pygal.style import Style

# pygal puts a finder for its maps, of an interface that Python has given up, into every later import of the process.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, PluginImportFixer)]

_WIDTH, _HEIGHT = 480, 230
_MOST_LABELS = 7
_UNWANTED = (Comment, "script", "style", "defs", "desc")  # a comment's tag is the function that makes one
_STYLE = Style(label_font_size=12, major_label_font_size=12, font_family="system-ui, sans-serif")


@dataclass(frozen=True, slots=True)
class Series:
    """What the columns of one colour show: a value for each, and what is read when one is pointed at."""

    name: str
    values: Sequence[float]
    labels: Sequence[str]


def columns(title: str, names: Sequence[str], series: Sequence[Series], *, stacked: bool = False) -> str:
    """Return a plot with a column, or some side by side or on top of each other, for each name."""
    kind: Any = StackedBar if stacked else Bar
    chart = kind(
        style=_STYLE,
        js=(),
        width=_WIDTH,
        height=_HEIGHT,
        no_prefix=True,
        disable_xml_declaration=True,
        show_legend=False,
        margin=6,
        spacing=8,
        min_scale=3,
        max_scale=6,
        truncate_label=-1,
        include_x_axis=True,
        formatter=lambda value: f"{value:,.0f}",
    )
    # A few, evenly: as many as fit a phone.
    step = -(-len(names) // _MOST_LABELS)
    chart.x_labels = ["" if place % step else name for place, name in enumerate(names)]
    for one in series:
        points = zip(one.values, one.labels, strict=True)
        chart.add(one.name, [{"value": value, "label": label} for value, label in points])
    chart.add_xml_filter(lambda root: _bare(root, title))
    return str(chart.render(is_unicode=True)).replace(' xmlns="http://www.w3.org/2000/svg"', "")


def _bare(root: Element, title: str) -> Element:
    """Return the plot without all that the page has or must not have, and with words that browsers show by a column."""
    for parent in list(root.iter()):
        label = next((child.text for child in parent if child.tag == "desc" and child.get("class") == "label"), None)
        for child in list(parent):
            if child.tag in _UNWANTED:
                parent.remove(child)
        if label is not None:
            SubElement(parent, "title").text = label
    for attribute in [name for name in root.attrib if name not in {"viewBox", "xmlns"}]:
        del root.attrib[attribute]
    root.attrib |= {"class": "chart", "role": "img"}
    heading = root.find("title")
    if heading is not None:
        heading.text = title
    return root
