"""Migration to YAML that people read and change: every value with its reason, every limit with its owner."""

from __future__ import annotations

import os
import re
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from workbench import __version__
from workbench.evidence import DEFAULT, Limit
from workbench.migration.declared import FILE, Data, Migration, ModelSource, Privacy, Roles, Task, Tracking
from workbench.migration.problems import said
from workbench.migration.reading import parse

WIDTH = 110
CHECK = "PLEASE CHECK"
"""How a reason begins that a person should look at."""
Reasons = Mapping[str, str]
"""Why a value is as it is, by dotted key: {"task.target": "..."}; a section's own key may carry a reason too."""

_HEAD = """\
What is moved, and what counts as safe. The comments say why a value is proposed: change what is wrong.
Check it with `workbench check`, run the journey with `workbench run`. Paths are relative to this file."""

_LIMITS = (
    "What the team accepts, by finding. better: lower accepts up to value + margin, higher from value - margin, "
    "equal within value +/- margin.\nset_by: default means that nobody in the team has agreed to it yet: once somebody "
    "has, put the name there. Without a limit a finding is shown, but judges nothing. `workbench explain ID` says what "
    "an id means."
)

_AUDITS = "Parameters, by audit; what is left out keeps its default."

_EXAMPLES = {
    "data.train": "train.parquet",
    "data.production": "production/*.parquet",
    "roles.protected": "[sex, age_group]",
    "roles.key": "customer_id",
    "roles.time": "application_date",
    "roles.personal": "[name, email]",
    "roles.weight": "sample_weight",
    "roles.ignore": "[comment]",
}


def write(
    folder: str | Path,
    migration: Migration,
    why: Reasons | None = None,
    titles: Mapping[str, str] | None = None,
    *,
    force: bool = False,
) -> Path:
    """Writes `folder`/migration.yaml, atomically, and returns its path.

    titles: what each finding id asks, written above its limit.
    Raises MigrationError where there is one already, unless `force`.
    """
    file = Path(folder) / FILE
    if file.exists() and not force:
        advice = "give another folder, change that file, or overwrite it with --force"
        raise said(file, f"there is a migration here already: {advice}")
    text = render(migration, why, titles)
    parse(text, file)
    with saying_why(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        replace(file, text)
    return file


def render(migration: Migration, why: Reasons | None = None, titles: Mapping[str, str] | None = None) -> str:
    """The text of migration.yaml, comments included; reading it gives an equal migration."""
    why = why or {}
    blocks = [
        [*_comment(_HEAD), f"version: {migration.version}", *_workbench(migration), f"name: {scalar(migration.name)}"],
        _section("data", migration.data, why),
        _source("legacy", migration.legacy, why),
        _source("candidate", migration.candidate, why),
        _section("task", migration.task, why),
        _section("roles", migration.roles, why),
        _limits(migration.limits, titles or {}),
        _audits(migration.audits),
        _privacy(migration.privacy),
        _tracking(migration.tracking),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _workbench(migration: Migration) -> list[str]:
    oldest = migration.workbench or f">={__version__}"
    return [f"workbench: {scalar(oldest)}  # the oldest workbench that reads this file"]


def _section(name: str, part: Data | Task | Roles, why: Reasons) -> list[str]:
    lines: list[str] = []
    for key, field in type(part).model_fields.items():
        if isinstance(part, Task) and part.kind != "binary" and key in ("positive", "threshold"):
            continue
        lines += _comment(_said(field.description or "", why.get(f"{name}.{key}", "")), 2)
        lines += _key(f"{name}.{key}", key, getattr(part, key))
    return [*_comment(why.get(name, "")), f"{name}:", *lines]


def _said(about: str, reason: str) -> str:
    """What a key is for, and why it has this value; a question to the reader starts a line of its own."""
    return f"{about}{chr(10) if reason.startswith(CHECK) else ': '}{reason}" if reason else about


def _key(dotted: str, key: str, value: object) -> list[str]:
    """The entry, or what one would look like."""
    if value not in (None, ()):
        return _entry(key, value, 2)
    return [f"  # {key}: {_EXAMPLES[dotted]}"] if dotted in _EXAMPLES else []


def _source(name: str, source: ModelSource | None, why: Reasons) -> list[str]:
    about = why.get(name, "")
    if source is None:
        about = about or f"{name}: left out, for the replatform notebook makes it. Or name a file of your own:"
        return [*_comment(about), f"# {name}:", "#   uri: candidate.pt2"]
    lines = [*_comment(about), f"{name}:", *_comment(why.get(f"{name}.uri", ""), 2), *_entry("uri", source.uri, 2)]
    parts = {**({"options": source.options} if source.options else {}), **source.sections}
    for key, value in parts.items():
        reasons = [reason for dotted, reason in why.items() if dotted.startswith(f"{name}.{key}")]
        lines += [*_comment("\n".join(reasons), 2), *_entry(key, value, 2)]
    unsaid = why.get(f"{name}.environment", "") if source.environment is None else ""
    return [*lines, *_comment(unsaid, 2)]


def _limits(limits: Mapping[str, Limit], titles: Mapping[str, str]) -> list[str]:
    if not limits:
        return [*_comment(_LIMITS), "limits: {}"]
    lines = [*_comment(_LIMITS), "limits:"]
    for audit in dict.fromkeys(name.split("/")[0] for name in limits):
        for name, limit in limits.items():
            if name.split("/")[0] == audit:
                lines += [*_comment(titles.get(name, ""), 2), f"  {name}: {_limit(limit)}"]
    return lines


def _limit(limit: Limit) -> str:
    margin = f", margin: {scalar(limit.margin)}" if limit.margin else ""
    return (
        f"{{value: {scalar(limit.value)}, better: {limit.better}{margin}, set_by: {scalar(limit.set_by or DEFAULT)}}}"
    )


def _audits(audits: Mapping[str, Mapping[str, object]]) -> list[str]:
    return [*_comment(_AUDITS), *_entry("audits", audits, 0)]


def _privacy(privacy: Privacy) -> list[str]:
    return _entry("privacy", privacy.model_dump(), 0) if privacy != Privacy() else []


def _tracking(tracking: Tracking | None) -> list[str]:
    return _entry("tracking", tracking.model_dump(exclude_none=True), 0) if tracking else []


def _entry(key: str, value: object, indent: int) -> list[str]:
    """`key: value` on one line where it fits, else as a block."""
    space = " " * indent
    line = f"{space}{scalar(key)}: {inline(value)}"
    if len(line) <= WIDTH or not isinstance(value, Mapping | list | tuple) or not value:
        return [line]
    if isinstance(value, Mapping):
        inner = [line for name, item in value.items() for line in _entry(str(name), item, indent + 2)]
    else:
        inner = [f"{space}  - {inline(item)}" for item in value]
    return [f"{space}{scalar(key)}:", *inner]


def inline(value: object) -> str:
    """Any plain value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(str(key))}: {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(inline, value)) + "]"
    return scalar(value)


_WORD = re.compile(r"((\.{1,2}/)+|/)?[A-Za-z_][A-Za-z0-9_./*-]*( [A-Za-z_][A-Za-z0-9_./*-]*)*\Z")
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def scalar(value: object) -> str:
    """One value as YAML; text is quoted wherever a reader could take it for anything else."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value), _float(value))
    text = str(value)
    if _WORD.match(text) and text.casefold() not in _RESERVED:
        return text
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _float(value: float) -> str:
    """YAML wants a point before an exponent: 1.0e-05, not 1e-05."""
    text = repr(value)
    return text if "." in text or "e" not in text else text.replace("e", ".0e")


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


def _comment(text: str, indent: int = 0) -> list[str]:
    """Comment lines. Nothing in the text can end the comment: signs that are not printable are shown escaped."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        safe = "".join(sign if sign.isprintable() else _escaped(sign) for sign in paragraph)
        lines += textwrap.wrap(safe, WIDTH - indent - 2, break_on_hyphens=False) or []
    return [f"{' ' * indent}# {line}" for line in lines]


@contextmanager
def saying_why(file: Path) -> Iterator[None]:
    """A disk's refusal as a sentence."""
    try:
        yield
    except OSError as error:
        cause = f"{error.strerror}; make room or permission for it, nothing was changed"
        raise said(file, f"the file cannot be written: {cause}") from None


def replace(file: Path, text: str) -> None:
    """The file holds the old text or the new one, never a part of either, whatever happens meanwhile."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, file.stat().st_mode & 0o777 if file.exists() else 0o644)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
