"""migration.yaml: every mistake ends in a sentence with a line; what is written is read back; comments survive."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from workbench import __version__, schemas
from workbench.evidence import Evidence, Finding, Limit, Measure, Status
from workbench.migration import (
    FILE,
    Data,
    Migration,
    MigrationError,
    ModelSource,
    Roles,
    Task,
    check,
    open_migration,
    render,
    update,
    write,
)

GOOD = """\
version: 1
name: credit
data:
  holdout: loans.csv
legacy:
  uri: model.txt
task:
  kind: binary
  target: default
  positive: 1
"""

BAD = {
    "empty": ("", 1, "the file is empty: make a new one with `workbench new`"),
    "only comments": ("# nothing\n", 1, "the file is empty"),
    "a list": ("- a\n- b\n", 1, "must be lines of `key: value`; it is a list"),
    "text": ("hello\n", 1, "must be lines of `key: value`; it is the text 'hello'"),
    "unknown key": (
        GOOD.replace("holdout", "houldout"), 4,
        "'houldout' is not a key of `data`: did you mean 'holdout'?",
    ),
    "key in another section": (
        GOOD + "threshold: 0.5\n", 11,
        "'threshold' is not a key of the top level: it belongs under `task`",
    ),
    "unknown value": (
        GOOD.replace("binary", "binnary"), 8,
        "did you mean 'binary'? it may be 'binary', 'multiclass'",
    ),
    "missing key": (
        GOOD.replace("  target: default\n", ""), 7,
        "`task.target` is missing: column that holds the truth",
    ),
    "number for text": (
        GOOD.replace("target: default", "target: 5"), 9,
        'must be text; it is the number 5: put it in quotes, "5"',
    ),
    "text for number": (
        GOOD + "  threshold: '0.5'\n", 11,
        "must be a number; it is the text '0.5': write 0.5 without quotes",
    ),
    "bool for number": (GOOD + "  threshold: true\n", 11, "`task.threshold` must be a number; it is true"),
    "out of range": (GOOD + "  threshold: 1.5\n", 11, "must be less than or equal to 1; it is the number 1.5"),
    "text for section": (
        GOOD.replace("data:\n  holdout: loans.csv", "data: loans.csv"), 3,
        "must be a section",
    ),
    "no positive": (GOOD.replace("  positive: 1\n", ""), 7, "a binary task needs `positive`"),
    "duplicate key": (GOOD + "  target: other\n", 11, "'target' is here twice (first in line 9): keep one"),
    "duplicate section": (GOOD + "data:\n  holdout: b.csv\n", 11, "'data' is here twice (first in line 3)"),
    "two roles": (GOOD + "roles:\n  key: [sex]\n  protected: [sex]\n", 12, "'sex' has more than one role"),
    "target with a role": (
        GOOD + "roles:\n  protected: default\n", 12,
        "'default' is the target and also in roles.protected",
    ),
    "no number": (GOOD + "limits:\n  bias/gap: {value: .nan, better: lower}\n", 12, "`.nan` is not a value"),
    "limit": (
        GOOD + "limits:\n  bias/gap: {value: high, better: lower}\n", 12,
        "`limits.bias/gap.value` must be a number",
    ),
    "tab": (GOOD.replace("  kind", "\tkind"), 8, "a tab indents this line: YAML takes spaces only"),
    "open quote": (GOOD + "x: 'a\n", 12, "close every quote and bracket"),
    "colon in a value": ("name: a: b\n", 1, "quote the value"),
    "two documents": (GOOD + "---\n" + GOOD, 11, "a second document starts here"),
    "control character": (GOOD + "x: \x07\n", 11, "does not belong in a text file: remove it"),
    "key is a list": (GOOD + "? [a]\n: 1\n", 11, "a key must be text"),
    "tag that runs code": (
        GOOD + "x: !!python/object/apply:os.system [touch gone]\n", 11,
        "could run code: write a plain value",
    ),
    "alias": (GOOD + "x: &a [1]\ny: *a\n", 11, "anchors (&) and aliases (*) are not read"),
    "nested": ("a: " + "[" * 20_000, 1, "nested more than 16 deep"),
    "newer": (
        GOOD.replace("version: 1", "version: 2"), 1,
        f"version 2 of migration.yaml needs a workbench that reads version 2, you have {__version__}",
    ),
    "newer, and says what it needs": (
        GOOD.replace("version: 1", 'version: 2\nworkbench: ">=0.7.0"\nnew_key: 1'),
        1,
        f'needs workbench ≥ 0.7.0, you have {__version__} (it reads version 1): pip install --upgrade "migration-work',
    ),
    "needs a newer workbench": (GOOD.replace("version: 1", 'workbench: ">=99"'), 1, "needs workbench ≥ 99"),
}  # fmt: skip


def put(folder: Path, text: str | bytes) -> Path:
    file = folder / FILE
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def refused(folder: Path, text: str | bytes) -> MigrationError:
    put(folder, text)
    with pytest.raises(MigrationError) as caught:
        open_migration(folder)
    return caught.value


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_a_sentence_with_its_line(case: str, tmp_path: Path) -> None:
    text, line, sentence = BAD[case]
    error = refused(tmp_path, text)
    [problem] = [problem for problem in error.problems if sentence in problem.sentence]
    assert problem.line == line
    assert f"{FILE}:{line}: " in str(error)
    assert "Traceback" not in str(error)
    assert "pydantic" not in str(error)


def test_every_problem_is_listed_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("holdout", "houldout").replace("binary", "binnary") + "role: {}\n"
    error = refused(tmp_path, text)
    assert [problem.line for problem in error.problems] == [3, 4, 8, 11]
    assert "did you mean 'roles'?" in str(error)


def test_a_yaml_bomb_is_refused_at_once(tmp_path: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi")
    )
    started = time.process_time()
    assert "aliases" in str(refused(tmp_path, GOOD + bomb))
    assert time.process_time() - started < 2


def test_files_that_are_no_text(tmp_path: Path) -> None:
    assert "is not UTF-8 (byte 0xff)" in str(refused(tmp_path, GOOD.encode() + b"x: \xff\n"))
    assert refused(tmp_path, GOOD.encode() + b"x: \xff\n").problems[0].line == 11
    assert "at most" in str(refused(tmp_path, "#" * 200_000))
    (tmp_path / FILE).unlink()
    with pytest.raises(MigrationError, match="workbench new"):
        open_migration(tmp_path)
    with pytest.raises(MigrationError, match="no such file or folder"):
        open_migration(tmp_path / "nowhere")


def test_a_utf8_signature_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    put(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert open_migration(tmp_path).task.target == "default"


def test_folder_file_and_lines(tmp_path: Path) -> None:
    file = put(tmp_path, GOOD + "limits:\n  bias/gap: {value: 0.2, better: lower, set_by: Ann}\n")
    by_folder, by_file = open_migration(tmp_path), open_migration(file)
    assert by_folder == by_file
    assert by_folder.folder == tmp_path
    assert by_folder.line("task", "target") == 9
    assert by_folder.line("limits", "bias/gap", "margin") == 12  # left out: the line of its parent
    assert by_folder.limit("bias/gap") == Limit(value=0.2, better="lower", set_by="Ann")
    assert by_folder.roles.of("sex") == ()


def test_yaml_words_stay_what_they_look_like(tmp_path: Path) -> None:
    put(tmp_path, GOOD.replace("positive: 1", "positive: no").replace("loans.csv", "[2024-01-01.csv, b.csv]"))
    migration = open_migration(tmp_path)
    assert migration.task.positive == "no"  # YAML 1.2: not false
    assert migration.data.holdout == ("2024-01-01.csv", "b.csv")


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid")
    minimum: int = 10


def test_ids_audits_and_files_are_checked_with_lines(tmp_path: Path) -> None:
    (tmp_path / "loan.csv").touch()
    text = GOOD + "limits:\n  bias/gapp: {value: 0.2, better: lower}\naudits:\n  biass: {}\n  parity: {minimun: 5}\n"
    put(tmp_path, text)
    problems = check(open_migration(tmp_path), ["bias/gap"], {"bias": _Params, "parity": _Params})
    said = {problem.line: problem.sentence for problem in problems}
    assert said[4] == "`data.holdout`: there is no file 'loans.csv': did you mean 'loan.csv'?"
    assert "there is no file 'model.txt'" in said[6]
    assert said[12] == "'bias/gapp' is not the id of a finding: did you mean 'bias/gap'?"
    assert said[14] == "'biass' is not an audit: did you mean 'bias'?"
    assert said[15] == "'minimun' is not a key of `audits.parity`: did you mean 'minimum'?"
    (tmp_path / "loan.csv").rename(tmp_path / "loans.csv")
    put(tmp_path, GOOD.replace("model.txt", "'column:score != \"Low\"'"))
    assert check(open_migration(tmp_path), [], []) == []


names = st.text(min_size=1, max_size=20).filter(lambda text: not any(0xD800 <= ord(sign) < 0xE000 for sign in text))
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | names
HOSTILE = "a\nb: c|<img onerror=1>|</script>|\u202eeulav|#no|yes|1|1e3|null|~|-|'|\"|a'\"| |a: b|*x|&x|!t|\x85"
HOSTILE += "|\u2028|😀|=1+1|a,b|[|{"
hostile = st.sampled_from([*HOSTILE.split("|"), "$\\frac{", "y" * 400])


@settings(max_examples=40, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    target=names | hostile,
    roles=st.lists(names | hostile, unique=True, max_size=4),
    positive=plain.filter(lambda value: value is not None),
    options=st.dictionaries(names | hostile, plain | st.lists(plain, max_size=3), max_size=3),
    limit=st.floats(allow_nan=False, allow_infinity=False),
    why=names | hostile,
)
def test_what_is_written_is_read_back_equal(target, roles, positive, options, limit, why, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("written")
    migration = Migration(
        name=target,
        data=Data(holdout=(target, "b.csv")),
        legacy=ModelSource(uri=f'column:{target} != "Low"', options=options),
        task=Task(kind="binary", target="the target", positive=positive),
        roles=Roles(protected=tuple(roles)),
        limits={"bias/gap": Limit(value=limit, better="lower", margin=abs(limit))},
    )
    reasons = dict.fromkeys(("data", "data.holdout", "legacy", "task.target", "roles.protected"), why)
    write(folder, migration, reasons, {"bias/gap": why})
    read = open_migration(folder)
    assert json.loads(read.model_dump_json(exclude={"workbench"})) == json.loads(
        migration.model_dump_json(exclude={"workbench"})
    )


def test_an_existing_migration_is_not_overwritten(tmp_path: Path) -> None:
    file = put(tmp_path, GOOD)
    migration = open_migration(tmp_path)
    with pytest.raises(MigrationError, match="there is a migration here already"):
        write(tmp_path, migration)
    assert file.read_text() == GOOD
    write(tmp_path, migration, force=True)
    assert file.read_text() != GOOD


COMMENTED = """\
# our credit model
version: 1
name: credit  # the old name
data:
  holdout: loans.csv

# the pickle nobody dares to touch
legacy:
  uri: model.txt  # from 2019
task:
  kind: binary
  # agreed in May
  target: default
  positive: 1

# who must not be treated worse
roles:
  ignore:
    - a
    - b
# what we accept
limits:
  # the four fifths
  bias/gap: {value: 0.2, better: lower, set_by: default}  # to be discussed

# the end
"""


def test_a_choice_is_written_back_and_the_comments_stay(tmp_path: Path) -> None:
    file = put(tmp_path, COMMENTED)
    changes = {
        "task": {"threshold": 0.25},
        "roles": {"ignore": ("a",), "weight": "w"},
        "limits": {"bias/gap": {"set_by": "Ann"}, "bias/other": Limit(value=1, better="equal", set_by="Bo")},
        "audits": {"bias": {"minimum": 20}},
    }
    after = update(tmp_path, changes)
    text = file.read_text()
    assert after.task.threshold == 0.25
    assert after.roles == Roles(ignore=("a",), weight="w")
    assert after.limits["bias/gap"] == Limit(value=0.2, better="lower", set_by="Ann")
    assert after.limits["bias/other"].set_by == "Bo"
    assert after.audits == {"bias": {"minimum": 20}}
    comments = [line[line.index("#") :] for line in COMMENTED.splitlines() if "#" in line]
    assert [line[line.index("#") :] for line in text.splitlines() if "#" in line] == comments
    place = text.index
    assert (
        place("threshold") < place("# who must not") < place("roles:") < place("weight: w") < place("# what we accept")
    )
    assert update(tmp_path, {}) == after
    assert file.read_text() == text


def test_a_choice_that_is_not_valid_leaves_the_file_alone(tmp_path: Path) -> None:
    file = put(tmp_path, COMMENTED)
    with pytest.raises(MigrationError, match=r"task\.threshold"):
        update(tmp_path, {"task": {"threshold": 7}})
    assert file.read_text() == COMMENTED
    assert sorted(path.name for path in tmp_path.iterdir()) == [".workbench", FILE]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    file = put(tmp_path, COMMENTED)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(COMMENTED) // 2, before[1]))
    try:
        with pytest.raises(MigrationError, match=r"cannot be written: .*nothing was changed"):
            update(tmp_path, {"name": "other"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_text() == COMMENTED
    assert sorted(path.name for path in tmp_path.iterdir()) == [".workbench", FILE]


@pytest.mark.parametrize("name", ["migration", "evidence"])
def test_the_checked_in_schema_is_fresh(name: str) -> None:
    fresh = schemas.texts()[name]
    assert schemas.path(name).read_text(encoding="utf-8") == fresh, "stale: run `python -m workbench.schemas`"


def test_the_schema_agrees_with_the_reader() -> None:
    schema = json.loads(schemas.path("migration").read_text())
    good = {
        "name": "x", "data": {"holdout": "a"}, "legacy": {"uri": "m"}, "task": {"kind": "regression", "target": "y"},
        "roles": {"protected": "sex", "key": ["a", "b"]}, "limits": {"bias/gap": {"value": 1, "better": "lower"}},
    }  # fmt: skip
    jsonschema.validate(good, schema)
    Migration.model_validate_json(json.dumps(good), strict=True)
    for bad in ({**good, "extra": 1}, {**good, "task": {"kind": "other", "target": "y"}}, {**good, "name": 5}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)
        with pytest.raises(ValidationError):
            Migration.model_validate_json(json.dumps(bad), strict=True)


def test_evidence_as_written_fits_its_schema() -> None:
    finding = Finding(
        id="bias/gap", title="t", status=Status.ABSENT, change=Measure(value=float("nan"), high=float("inf"))
    )
    evidence = Evidence(audit="bias", migration="m", started="2026-01-01T00:00:00Z", seconds=1, findings=(finding,))
    jsonschema.validate(json.loads(evidence.to_json()), json.loads(schemas.path("evidence").read_text()))


def test_comments_say_why(tmp_path: Path) -> None:
    put(tmp_path, GOOD)
    text = render(open_migration(tmp_path), {"task.target": "the only column the model does not read"}, {})
    assert "  # column that holds the truth: the only column the model does not read\n  target: default\n" in text
    assert "# train: train.parquet" in text
