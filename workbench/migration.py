"""migration.yaml: what is moved, and what counts as safe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from workbench.evidence import Limit

FILE = "migration.yaml"
VERSION = 1


class Part(BaseModel):
    """A closed section of migration.yaml: an unknown key is refused with its line and a suggestion."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Part):
    """Where the rows are: a file, a glob, or a list of both, relative to migration.yaml."""

    holdout: str | tuple[str, ...] = Field(description="rows both models are judged on, never used in training")
    train: str | tuple[str, ...] | None = Field(None, description="rows the legacy model was trained on")
    production: str | tuple[str, ...] | None = Field(None, description="recent rows from production")
    sample: int = Field(20_000, ge=1, description="rows scored at most; a seeded sample beyond that")


class ModelSource(Part):
    """A model file, `python:package.module:function`, or `column:NAME` (a prediction already in the data)."""

    uri: str
    options: dict[str, object] = Field({}, description="what the reader of this format takes, e.g. feature_map")


class Task(Part):
    kind: Literal["binary", "multiclass", "regression"]
    target: str = Field(description="column that holds the truth")
    positive: str | int | float | bool | None = Field(None, description="binary: the class that counts as selected")
    threshold: float = Field(0.5, ge=0, le=1, description="binary: selected where P(positive) >= threshold")

    @model_validator(mode="after")
    def _binary_needs_positive(self) -> Task:
        if self.kind == "binary" and self.positive is None:
            raise ValueError("a binary task needs `positive`: the class that counts as selected, e.g. `positive: 1`")
        return self


class Roles(Part):
    """What columns are. A column is in one list at most, save `protected`, which may also be personal."""

    protected: tuple[str, ...] = Field((), description="attributes no group of which may be treated worse")
    key: tuple[str, ...] = Field((), description="columns that identify a row")
    time: str | None = Field(None, description="when the row happened")
    personal: tuple[str, ...] = Field((), description="columns that hold personal data")
    weight: str | None = Field(None, description="sample weight")
    ignore: tuple[str, ...] = Field((), description="columns no audit looks at")

    @field_validator("protected", "key", "personal", "ignore", mode="before")
    @classmethod
    def _one_or_many(cls, names: object) -> object:
        return (names,) if isinstance(names, str) else names


class Migration(Part):
    """A migration as declared. `folder` is where migration.yaml lies; every path in it is relative to that."""

    version: Literal[1] = 1
    name: str
    data: Data
    legacy: ModelSource
    candidate: ModelSource | None = Field(None, description="made by the replatform mover when left out")
    task: Task
    roles: Roles = Roles()
    limits: dict[str, Limit] = Field({}, description="by finding id, e.g. bias/selection-rate-gap")
    audits: dict[str, dict[str, object]] = Field({}, description="parameters, by audit")
    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        return self._folder

    def limit(self, finding: str) -> Limit | None:
        return self.limits.get(finding)


Limits = Mapping[str, Limit]
"""What the team accepts, by finding id; an id without an entry has no limit."""
