"""What migration.yaml may say: the sections and their keys, closed and typed."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from workbench.evidence import Limit
from workbench.migration.addresses import address_problem
from workbench.migration.requirements import requirement_problem

FILE = "migration.yaml"
VERSION: Literal[1] = 1
Where = tuple[str | int, ...]
"""A place in the file: ("limits", "bias/selection-rate-gap", "value")."""


class Part(BaseModel):
    """A closed section of migration.yaml: an unknown key is refused with its line and a suggestion."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _wrong(place: Where, sentence: str) -> PydanticCustomError:
    """A mistake at a place of the file other than the section that noticed it."""
    return PydanticCustomError("elsewhere", "{sentence}", {"sentence": sentence, "place": place})


class Data(Part):
    """Where the rows are: a file, a glob, or a list of both, relative to migration.yaml."""

    holdout: str | tuple[str, ...] = Field(description="rows both models are judged on, never used in training")
    train: str | tuple[str, ...] | None = Field(default=None, description="rows the legacy model was trained on")
    production: str | tuple[str, ...] | None = Field(default=None, description="recent rows from production")
    sample: int = Field(default=20_000, ge=1, description="rows scored at most; a seeded sample beyond that")


class Environment(Part):
    """The environment a pickle was written in: built once by pip, and the model answers from there."""

    python: str | None = Field(
        default=None,
        pattern=r"^(3\.\d{1,2}|[/~].+)$",
        description="its version, e.g. '3.9', or the path of an interpreter; that of the workbench when left out",
    )
    requirements: tuple[str, ...] = Field(min_length=1, description="packages with their versions, as pip takes them")

    @field_validator("python", mode="before", json_schema_input_type=str | None)
    @classmethod
    def _quoted(cls, python: object) -> object:
        if isinstance(python, int | float):
            raise ValueError(f"write the version of Python in quotes, for YAML reads {python} as a number")
        return python

    @field_validator("requirements")
    @classmethod
    def _plain(cls, requirements: tuple[str, ...]) -> tuple[str, ...]:
        for text in requirements:
            if problem := requirement_problem(text):
                raise ValueError(problem)
        return requirements


class Trust(Part):
    """A named person's word for a pickle that asks for more than the list of safe names allows: for this file only."""

    by: str = Field(description="the full name of who vouches for the file")
    on: datetime.date = Field(description="the day, e.g. 2026-01-31")
    sha256: str = Field(pattern=r"^[0-9a-fA-F]{64}$", description="of the file, as sha256sum prints it")
    why: str = Field(min_length=10, description="why the file may be run")

    @field_validator("by")
    @classmethod
    def _full_name(cls, by: str) -> str:
        if len(by.split()) < 2:
            raise ValueError(f"{by!r} is no full name: write who looked at the file, e.g. Ada Lovelace")
        return by

    @field_validator("on")
    @classmethod
    def _past(cls, on: datetime.date) -> datetime.date:
        if on > datetime.date.today() + datetime.timedelta(days=1):
            raise ValueError(f"{on.isoformat()} is still to come: write the day on which the file was looked at")
        return on


class ModelSource(Part):
    """A model file, `python:package.module:function`, or `column:NAME` (a prediction already in the data)."""

    uri: str = Field(min_length=1, description="a model file, python:package.module:function, or column:NAME")
    options: dict[str, object] = Field(default={}, description="what the reader of this format takes, e.g. feature_map")
    environment: Environment | None = Field(default=None, description="of its own for a pickle of other versions")
    trust: Trust | None = Field(default=None, description="a person's word for a pickle that is refused otherwise")

    @field_validator("options")
    @classmethod
    def _no_sections(cls, options: dict[str, object]) -> dict[str, object]:
        """What has a section of its own is checked there, and must not come in by another way."""
        if inside := [name for name in ("environment", "trust") if name in options]:
            raise ValueError(f"`{inside[0]}` stands beside `options`, not in it")
        return options

    @property
    def sections(self) -> dict[str, object]:
        """environment and trust as plain data, where they are declared."""
        parts = {"environment": self.environment, "trust": self.trust}
        return {name: part.model_dump(mode="json", exclude_none=True) for name, part in parts.items() if part}


class Task(Part):
    """What is predicted, and from which score on a row counts as selected."""

    kind: Literal["binary", "multiclass", "regression"] = Field(description="binary, multiclass or regression")
    target: str = Field(min_length=1, description="column that holds the truth")
    positive: str | int | float | bool | None = Field(
        default=None, description="the class that counts as selected (binary tasks)"
    )
    threshold: float = Field(
        default=0.5, ge=0, le=1, description="selected where P(positive) >= threshold (binary tasks)"
    )

    @model_validator(mode="after")
    def _binary_needs_positive(self) -> Task:
        if self.kind == "binary" and self.positive is None:
            raise ValueError("a binary task needs `positive`: the class that counts as selected, e.g. `positive: 1`")
        return self


class Roles(Part):
    """What columns are. A column is in one list at most, save `personal`, which may repeat any of the others."""

    protected: tuple[str, ...] = Field(default=(), description="attributes no group of which may be treated worse")
    key: tuple[str, ...] = Field(default=(), description="columns that identify a row")
    time: str | None = Field(default=None, description="when the row happened")
    personal: tuple[str, ...] = Field(default=(), description="columns that hold personal data")
    weight: str | None = Field(default=None, description="sample weight")
    ignore: tuple[str, ...] = Field(default=(), description="columns no audit looks at")

    @field_validator(
        "protected", "key", "personal", "ignore", mode="before", json_schema_input_type=str | tuple[str, ...]
    )
    @classmethod
    def _one_or_many(cls, names: object) -> object:
        return (names,) if isinstance(names, str) else tuple(names) if isinstance(names, list) else names

    @model_validator(mode="after")
    def _one_role_each(self) -> Roles:
        single = [name for name in (self.time, self.weight) if name is not None]
        counts = Counter([*self.protected, *self.key, *self.ignore, *single])
        if twice := [name for name, n in counts.items() if n > 1]:
            names = ", ".join(map(repr, twice))
            said = f"{names} has more than one role: keep one (personal may repeat any)"
            raise _wrong(("roles", self.of(twice[0])[-1]), said)
        return self

    def of(self, column: str) -> tuple[str, ...]:
        """The roles of one column, by name; () where it has none."""
        listed = {"protected": self.protected, "key": self.key, "personal": self.personal, "ignore": self.ignore}
        single = {"time": self.time, "weight": self.weight}
        return tuple(role for role, names in listed.items() if column in names) + tuple(
            role for role, name in single.items() if column == name
        )


class Person(Part):
    """Someone who looks at the migration without making it. They are known by the name under which they log in."""

    name: str = Field(default="", description="as people know them")
    role: str = Field(min_length=1, description="what they answer for, e.g. risk, business")


class Review(Part):
    """Who signs off before go-live: people by login name, and how many of each role it takes."""

    people: dict[str, Person] = Field(default={}, description="by the name they log in with")
    quorum: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default={}, description="by role, how many different people must approve"
    )
    sees: dict[str, tuple[Literal["key", "personal", "protected"], ...]] = Field(
        default={}, description="by role, which columns its people see in sampled cases; masked for everybody else"
    )

    @model_validator(mode="after")
    def _reachable(self) -> Review:
        have = Counter(person.role for person in self.people.values())
        if short := [role for role, n in self.quorum.items() if have[role] < n]:
            role = short[0]
            raise ValueError(
                f"the quorum asks for {self.quorum[role]} of the role {role!r}, and `people` names {have[role]}: "
                "name more people, or ask for fewer"
            )
        if strange := [role for role in self.sees if role not in have]:
            raise ValueError(f"`sees` names the role {strange[0]!r}, which nobody under `people` has")
        if len({login.casefold() for login in self.people}) < len(self.people):
            raise ValueError("two logins under `people` differ in upper and lower case only: they are one person")
        return self

    def roles_of(self, login: str) -> frozenset[str]:
        """Roles of whoever logs in under this name; empty for a stranger."""
        return frozenset(p.role for known, p in self.people.items() if known.casefold() == login.casefold())

    def seen_by(self, login: str) -> frozenset[str]:
        """Kinds of columns this person sees in sampled cases, of key, personal and protected."""
        return frozenset(kind for role in self.roles_of(login) for kind in self.sees.get(role, ()))


class Privacy(Part):
    """What may be seen of single people in what leaves the migration: reports, pages for reviewers, bundles."""

    minimum_cell: int = Field(
        default=10, ge=1, le=1_000, description="the smallest count of people that is shown; 1 shows every count"
    )


class Tracking(Part):
    """An MLflow store in which runs and models are recorded as well; nothing is where this section is left out."""

    uri: str | None = Field(
        default=None,
        description="sqlite:///FILE, a database's URL or https://SERVER; else MLFLOW_TRACKING_URI, else a file here",
    )
    experiment: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="of MLflow's; the migration's name when left out",
    )

    @field_validator("uri")
    @classmethod
    def _written_to(cls, uri: str | None) -> str | None:
        if uri is not None and (problem := address_problem(uri)):
            raise ValueError(problem)
        return uri


class Migration(Part):
    """A migration as declared. `folder` is where migration.yaml lies; every path in it is relative to that."""

    version: Literal[1] = Field(default=VERSION, description="of this file's format")
    workbench: str | None = Field(default=None, description='the oldest workbench that reads this file, e.g. ">=0.1.0"')
    name: str = Field(min_length=1, description="what people call this migration")
    data: Data
    legacy: ModelSource
    candidate: ModelSource | None = Field(default=None, description="made by the replatform mover when left out")
    task: Task
    roles: Roles = Field(default=Roles(), description="what columns are")
    limits: dict[str, Limit] = Field(default={}, description="by finding id, e.g. bias/selection-rate-gap")
    audits: dict[str, dict[str, object]] = Field(default={}, description="parameters, by audit")
    review: Review = Field(default=Review(), description="who signs off before go-live")
    privacy: Privacy = Field(default=Privacy(), description="which counts are withheld in what leaves the migration")
    tracking: Tracking | None = Field(default=None, description="where runs and models are recorded as well (MLflow)")
    _folder: Path = PrivateAttr(default=Path())
    _file: Path | None = PrivateAttr(default=None)
    _lines: dict[Where, int] = PrivateAttr(default_factory=dict)

    @field_validator("roles", mode="before", json_schema_input_type=Roles | None)
    @classmethod
    def _roles_of_comments_only(cls, roles: object) -> object:
        return {} if roles is None else roles

    @field_validator("limits", mode="before", json_schema_input_type=dict[str, Limit] | None)
    @classmethod
    def _limits_of_comments_only(cls, limits: object) -> object:
        return {} if limits is None else limits

    @field_validator("audits", mode="before", json_schema_input_type=dict[str, dict[str, object]] | None)
    @classmethod
    def _audits_of_comments_only(cls, audits: object) -> object:
        return {} if audits is None else audits

    @model_validator(mode="after")
    def _target_has_no_role(self) -> Migration:
        taken = [role for role in self.roles.of(self.task.target) if role != "personal"]
        if taken:
            said = f"{self.task.target!r} is the target and also in roles.{taken[0]}: keep one of them"
            raise _wrong(("roles", taken[0]), said)
        return self

    @property
    def folder(self) -> Path:
        """Where migration.yaml lies; the working folder for one made in memory."""
        return self._folder

    @property
    def file(self) -> Path | None:
        """The file this was read from; None for one made in memory."""
        return self._file

    @property
    def lines(self) -> Mapping[Where, int]:
        """The 1-based line of every key that is in the file."""
        return self._lines

    def limit(self, finding: str) -> Limit | None:
        """What the team accepts for a finding id; None where it has said nothing."""
        return self.limits.get(finding)

    def line(self, *path: str | int) -> int | None:
        """The line of a key in the file, e.g. `line("roles", "protected")`; of its nearest parent where it is left out.

        None for a migration made in memory.
        """
        for length in range(len(path), -1, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return None

    def at(self, folder: Path, file: Path | None = None, lines: Mapping[Where, int] | None = None) -> Migration:
        """The same migration, standing in `folder`."""
        moved = self.model_copy()
        moved._folder, moved._file, moved._lines = folder, file, dict(lines or {})
        return moved


Limits = Mapping[str, Limit]
"""What the team accepts, by finding id; an id without an entry has no limit."""
