"""The pages of the documentation, taken apart: links, code, tables; and the names that a Python file defines."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[([^\]]*)\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def prose(self) -> str:
        """All but the fenced code."""
        return _FENCE.sub("", self.text)

    @property
    def links(self) -> list[tuple[str, str]]:
        """(text, target) of each link and picture."""
        return _LINK.findall(self.prose)

    @property
    def spans(self) -> list[str]:
        """The code in running text."""
        return _SPAN.findall(self.prose)

    @property
    def headings(self) -> list[str]:
        return _HEADING.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """What a link may name behind `#`, as GitHub makes it from the headings."""
        kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in self.headings)
        return {text.replace(" ", "-") for text in kept}

    def blocks(self, language: str) -> list[str]:
        """The fenced code of one language, without its indentation."""
        found = _FENCE.findall(self.text)
        return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, kind, body in found if kind == language]

    def section(self, heading: str) -> "str":
        """The text below a heading of the second level, up to the next one."""
        found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", self.text, re.MULTILINE | re.DOTALL)
        assert found, f"{self} has no section {heading}"
        return found[1]

    def rows(self, heading: str) -> list[list[str]]:
        """The cells of the section's first table, without its head."""
        lines = [line for line in self.section(heading).splitlines() if line.startswith("|")]
        assert len(lines) > 2, f"{self}: {heading} has no table"
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def pages() -> list[Page]:
    """All pages, but what tools leave behind in hidden folders."""
    return [Page(path) for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])]


def page(name: str) -> Page:
    return Page(ROOT / name)


def spans(cell: str) -> list[str]:
    return _SPAN.findall(cell)


def commands(block: str) -> Iterator[str]:
    """The command lines of a shell block: continued lines joined, `&&` taken apart."""
    joined = block.replace("\\\n", " ")
    for line in joined.splitlines():
        yield from (part.strip() for part in line.split("&&") if part.strip() and not part.lstrip().startswith("#"))


@cache
def defined(path: Path) -> frozenset[str]:
    """What a module defines: functions, classes, constants, and `Class.name` for what stands in a class."""
    return frozenset(_names(ast.parse(path.read_text()).body))


def _names(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from _names(node.body, f"{node.name}.")
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))
