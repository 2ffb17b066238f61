"""A page as a person or a screen reader takes it in."""

import html.parser
from dataclasses import dataclass, field

VOID = {"meta", "link", "input", "br"}


@dataclass
class Box:
    value: str
    label: str
    ticked: bool
    described: str


@dataclass
class Shown(html.parser.HTMLParser):
    """What stands on a page. `elements`: each element with its attributes, in order."""

    html: str
    language: str = ""
    title: str = ""
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[tuple[str, dict[str, str]]] = []
        self._texts: list[tuple[list[tuple[str, dict[str, str]]], str]] = []
        self.feed(self.html)
        self.language = dict(self.elements)["html"]["lang"]
        self.title = self._within("title")

    __hash__ = object.__hash__

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if data.strip():
            self._texts.append((list(self._open), " ".join(data.split())))

    @property
    def text(self) -> str:
        return self._within("main")

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def boxes(self) -> list[Box]:
        return [
            Box(
                value=box["value"],
                label=self._within("label", "for", box["id"]),
                ticked="checked" in box,
                described=self._within("div", "id", box["aria-describedby"]),
            )
            for box in self.all("input")
            if box.get("type") == "checkbox" and box.get("name") == "connector"
        ]

    def buttons(self) -> dict[str, str]:
        """`decision` → its words."""
        return {
            button["value"]: self._within("button", "value", button["value"])
            for button in self.all("button")
            if button.get("name") == "decision"
        }

    def _within(self, tag: str, attribute: str = "", value: str = "") -> str:
        return " ".join(
            text
            for opened, text in self._texts
            if any(name == tag and (not attribute or attrs.get(attribute) == value) for name, attrs in opened)
        )
