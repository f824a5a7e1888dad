"""Parses the HTML page of a report: its tables, its charts, and everything it refers to."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = ("meta", "link", "img", "br", "hr", "input")
LOADING = ("src", "href", "srcset", "data", "action", "poster", "background", "style")


@dataclass
class Page:
    """The content of a page."""

    text: str
    policy: str = ""
    tables: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """By its caption each table's rows, by the names of their columns; a figure to its last digit."""
    references: list[str] = field(default_factory=list)
    charts: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__(convert_charrefs=True)
        self.page = page
        self.open: list[str] = []
        self.names: list[str] = []
        self.rows: list[dict[str, str]] = []
        self.cells: list[str] = []
        self.exact = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.page.tags.append(tag)
        self.page.references += [value or "" for name, value in attributes if name in LOADING]
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
            self.page.policy = given["content"] or ""
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self.names, self.rows = [], []
        if tag == "tr":
            self.cells = []
        if tag in ("td", "th"):
            self.cells.append("")
            self.exact = False
        if tag == "data":
            self.cells[-1], self.exact = given["value"] or "", True

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"
        if tag == "tr" and not self.names:
            self.names = self.cells
        elif tag == "tr":
            self.rows.append(dict(zip(self.names, self.cells, strict=True)))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "caption":
            assert data not in self.page.tables, "two tables of one name"
            self.page.tables[data] = self.rows
        if {"td", "th"} & set(self.open) and not self.exact:
            self.cells[-1] += data
        if self.open and self.open[-1] == "script" and data.startswith('{"'):
            self.page.charts = json.loads(data)


def read_page(path: str | Path) -> Page:
    """Parse a page, which must be well formed to its last tag."""
    page = Page(Path(path).read_text(encoding="utf-8"))
    reader = _Reader(page)
    reader.feed(page.text)
    reader.close()
    assert reader.open == []
    return page


def trace(chart: Any, name: str) -> Any:
    """One line, mark or set of candles of a chart."""
    [found] = [one for one in chart["data"] if one["name"] == name]
    return found
