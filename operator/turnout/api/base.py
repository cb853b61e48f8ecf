"""What all blocks of a ModelVersion have in common: names, strictness, frozenness, rules that CEL repeats.

A rule stands once, beside the fields it speaks of: the CEL expression for the API server, the predicate for
files read offline, and the sentence that both answer with. Nothing here knows YAML, Kubernetes or time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

RULE_ERROR = "turnout_rule"
"""The pydantic error type of a broken rule; its context names the field and the sentence."""

_NOTHING: set[str] = set()

JsonObject: TypeAlias = dict[str, JsonValue]

Boolean = Annotated[bool, Strict()]
Int32 = Annotated[int, Strict(), Field(json_schema_extra={"format": "int32"})]
Int64 = Annotated[int, Strict(), Field(json_schema_extra={"format": "int64"})]


@dataclass(frozen=True)
class Rule:
    """One sentence of the API beyond types and ranges, true alike at the API server and offline.

    `holds` gets the block, or (old block, new block) if `transition`. `field` is the field to blame, in its
    written form (`minReplicas`), empty for the whole block.
    """

    cel: str
    sentence: str
    holds: Callable[..., bool]
    field: str = ""
    transition: bool = False


class Block(BaseModel):
    """A frozen piece of the API: snake_case in Python, camelCase in YAML."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _forget_what_was_written(self) -> Self:
        """Nobody asks which fields were there; a set for each block is half of what an operator's cache would weigh."""
        object.__setattr__(self, "__pydantic_fields_set__", _NOTHING)
        return self

    def body(self) -> JsonObject:
        """The block as JSON for a file or a request: camelCase, nothing that is None."""
        dumped: JsonObject = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return dumped


class Authored(Block):
    """A block that people write: an unknown field is an error, a broken rule answers with its sentence."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _keep_rules(self) -> Self:
        for rule in self.rules:
            if not rule.transition and not rule.holds(self):
                raise PydanticCustomError(RULE_ERROR, "{sentence}", {"sentence": rule.sentence, "field": rule.field})
        return self


class Observed(Block):
    """A block that a machine writes: fields of another release are ignored, never an error."""

    model_config = ConfigDict(extra="ignore")
