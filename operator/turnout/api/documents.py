"""YAML documents with the line of every field, read as the API server reads them.

Knows nothing of ModelVersions. Moments stay text, keys are text, a key written twice is a fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from pydantic import JsonValue

FieldPath = tuple[str | int, ...]

MOST_FIELDS = 20_000  # aliases of aliases make millions of fields out of ten lines

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class DocumentError(Exception):
    """A text that is no YAML, or YAML that no JSON can say."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.sentence = sentence


@dataclass(frozen=True)
class Document:
    """One document: its value, and the line (from 1) on which each field of it begins."""

    value: JsonValue
    lines: dict[FieldPath, int]

    def line(self, path: FieldPath) -> int:
        """The line of `path`, or of the nearest field around it that is written down."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def documents(text: str) -> Iterator[Document]:
    """Every document of `text` that is not empty. Raises DocumentError at the first that cannot be read."""
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_node():
            lines: dict[FieldPath, int] = {}
            node = loader.get_node()
            value = _value(loader, node, (), lines, ()) if node is not None else None
            if value is not None:
                yield Document(value, lines)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        said = " ".join(part for part in (fault.context, fault.problem) if part)
        raise DocumentError(mark.line + 1 if mark else 1, f"this is no YAML: {said}") from fault
    except yaml.YAMLError as fault:
        raise DocumentError(1, f"this is no YAML: {' '.join(str(fault).split())}") from fault
    except RecursionError:
        raise DocumentError(1, "lists or objects stand in each other too deep to be read") from None


def _value(
    loader: yaml.SafeLoader,
    node: yaml.Node,
    path: FieldPath,
    lines: dict[FieldPath, int],
    above: tuple[yaml.Node, ...],
) -> JsonValue:
    if node in above:
        raise DocumentError(node.start_mark.line + 1, "an alias points to what it is part of")
    lines.setdefault(path, node.start_mark.line + 1)
    if len(lines) > MOST_FIELDS:
        raise DocumentError(node.start_mark.line + 1, f"a document has at most {MOST_FIELDS:,} fields")
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, lines, (*above, node))
    if isinstance(node, yaml.SequenceNode):
        inside = enumerate(node.value)
        return [_value(loader, item, (*path, index), lines, (*above, node)) for index, item in inside]
    if node.tag == _TIMESTAMP:
        return str(node.value)
    value: JsonValue = loader.construct_object(node)
    if not isinstance(value, str | int | float | bool | None):
        raise DocumentError(node.start_mark.line + 1, f"{node.tag} has no place in a Kubernetes object")
    return value


def _mapping(
    loader: yaml.SafeLoader,
    node: yaml.MappingNode,
    path: FieldPath,
    lines: dict[FieldPath, int],
    above: tuple[yaml.Node, ...],
) -> JsonValue:
    written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    twice = next((key for key in written if written.count(key) > 1), None)
    if twice is not None:
        again = [key for key, _ in node.value if key.value == twice][1]
        raise DocumentError(again.start_mark.line + 1, f'the field "{twice}" is written twice')
    loader.flatten_mapping(node)  # merge keys (<<) become fields; what is written beside them wins
    mapping: dict[str, JsonValue] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise DocumentError(key.start_mark.line + 1, "a field name is text, not a list or an object")
        inner = (*path, key.value)
        lines[inner] = key.start_mark.line + 1
        mapping[key.value] = _value(loader, value, inner, lines, above)
    return mapping
