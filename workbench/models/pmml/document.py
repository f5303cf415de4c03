"""PMML's XML as plain elements, read so that a hostile file can do nothing: no document type, entities or network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from workbench.models.protocol import ModelError, Refused

DEEPEST = 400
MOST = 5_000_000
LARGEST = 512 << 20
"""Levels, elements and bytes a document may have."""


@dataclass(slots=True)
class Element:
    """tag without its namespace, attributes, child elements without extensions, the text before the first child."""

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def get(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, default)

    def need(self, name: str) -> str:
        """An attribute that must be there. Raises ModelError naming element and attribute."""
        if name not in self.attributes:
            raise ModelError(f"its element <{self.tag}> lacks the attribute {name!r}: export the model anew")
        return self.attributes[name]

    def number(self, name: str, default: float | None = None) -> float:
        """An attribute as a number. Raises ModelError where it is none, or is not there without a default."""
        if default is not None and name not in self.attributes:
            return default
        return as_float(self.need(name), f"{self.tag}@{name}")

    def all(self, *tags: str) -> Iterator[Element]:
        return (child for child in self.children if child.tag in tags)

    def first(self, *tags: str) -> Element | None:
        for child in self.children:
            if child.tag in tags:
                return child
        return None

    def below(self, *tags: str) -> Iterator[Element]:
        """Elements of these names at any depth, in document order."""
        stack = self.children[::-1]
        while stack:
            element = stack.pop()
            if element.tag in tags:
                yield element
            stack.extend(reversed(element.children))


BOOLEANS = {"true": 1.0, "false": 0.0}


def as_float(text: str, where: str) -> float:
    """A PMML number, its INF and NaN included. Raises ModelError saying where it stands."""
    word = text.strip()
    try:
        return BOOLEANS[word.lower()] if word.lower() in BOOLEANS else float(word)
    except ValueError:
        raise ModelError(f"its {where} is {text[:40]!r}, where a number is due: the file is damaged") from None


def parse(data: bytes) -> Element:
    """The root element.

    Raises Refused for a document type or entity, and where a limit is passed; ModelError for what is no whole XML.
    """
    if len(data) > LARGEST:
        raise Refused(f"it is larger than {LARGEST >> 20} MiB, more than a PMML file may be")
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ExternalEntityRefHandler = _refuse  # type: ignore[assignment]
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.characters
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise ModelError(
            f"it is no whole XML document ({error}): it was cut short or changed; copy it again from its source"
        ) from error
    if builder.root is None or builder.root.tag != "PMML":
        raise ModelError("it is XML, but no PMML: its first element is not <PMML>")
    return builder.root


def _refuse(*_: object) -> None:
    raise Refused("it declares a document type or entities, which no PMML file needs and an attack does: not opened")


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self.stack: list[Element] = []
        self.count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if len(self.stack) >= DEEPEST or self.count > MOST:
            raise Refused(f"it nests deeper than {DEEPEST} levels or has more than {MOST} elements: no model does")
        # An attribute with a namespace is an exporter's own, and keeps its name beside the document's.
        element = Element(tag.rpartition(" ")[2], attributes)
        if self.stack:
            if element.tag != "Extension":
                self.stack[-1].children.append(element)
        else:
            self.root = element
        self.stack.append(element)

    def end(self, _: str) -> None:
        self.stack.pop()

    def characters(self, text: str) -> None:
        if not self.stack[-1].children:
            self.stack[-1].text += text


def array(element: Element) -> list[str]:
    """The words of an <Array>: separated by blanks, quoted where they hold blanks, a quote within as \\\\\"."""
    text, words, at = element.text, [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] == '"':
            at, word = _quoted(text, at + 1)
            words.append(word)
        else:
            end = at
            while end < len(text) and not text[end].isspace():
                end += 1
            words.append(text[at:end])
            at = end
    return words


def _quoted(text: str, at: int) -> tuple[int, str]:
    word = []
    while at < len(text) and text[at] != '"':
        at += text[at] == "\\" and text[at + 1 : at + 2] == '"'
        word.append(text[at])
        at += 1
    return at + 1, "".join(word)
