"""The chain against everything that can be done to a file, and against a kill at any moment."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from ledger_samples import ADA, GAP, keep

from workbench import ledger, store
from workbench.ledger.merkle import Checkpoint, checkpoint
from workbench.migration import open_migration

# The reference tree of RFC 6962's own implementation (certificate-transparency, merkletree tests): eight leaves, and
# the root over the first n of them.
LEAVES = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_the_merkle_root_is_that_of_rfc_6962() -> None:
    leaves = [bytes.fromhex(leaf) for leaf in LEAVES]
    assert [checkpoint(leaves[:n]).root for n in range(1, 9)] == ROOTS
    assert checkpoint([]).root == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_checkpoint_is_read_as_it_is_written() -> None:
    mark = checkpoint([b"a", b"b"])
    assert Checkpoint.parse(str(mark)) == mark
    with pytest.raises(ValueError, match="no checkpoint"):
        Checkpoint.parse("2:abc")


def changed(folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> str:
    """What verify says once the ledger's lines have been changed."""
    path = ledger.path_of(folder)
    lines = change(path.read_bytes().splitlines())
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return "\n".join(ledger.verify(folder).problems)


def test_an_untouched_ledger_holds(ready: Path) -> None:
    found = ledger.verify(ready, [ledger.my_key().public])
    assert found.problems == ()
    kinds = [entry.body.kind for entry in ledger.read(ready).entries]
    assert kinds == ["opened", "run", "run"]


def test_what_is_removed_reordered_or_doubled_is_named(ready: Path) -> None:
    path = ledger.path_of(ready)
    whole = path.read_bytes()
    assert "entry 2 is missing" in changed(ready, lambda lines: [lines[0], lines[2]])
    path.write_bytes(whole)
    assert "entry 2 is out of place" in changed(ready, lambda lines: [lines[0], lines[2], lines[1]])
    path.write_bytes(whole)
    assert "entry 2 stands 2 times" in changed(ready, lambda lines: [*lines[:2], lines[1], lines[2]])
    path.write_bytes(whole)
    assert "entry 1 is missing" in changed(ready, lambda lines: lines[1:])


def test_a_tail_that_was_cut_is_named_by_run_and_by_checkpoint(ready: Path) -> None:
    held = ledger.read(ready).checkpoint
    ledger.append(ready, ledger.KeyAccepted(public=ledger.my_key().public, owner="Ada"), ADA, migration="credit")
    newest = ledger.read(ready).checkpoint
    cut = changed(ready, lambda lines: lines[:2])
    assert "it is not in the ledger" in cut
    assert "its end was cut off" in "\n".join(ledger.verify(ready, (), held).problems)
    assert "4 entries" in "\n".join(ledger.verify(ready, (), newest).problems)


def test_the_checkpoint_in_a_later_run_shows_a_cut_that_left_the_chain_whole(ready: Path) -> None:
    ledger.append(ready, ledger.KeyAccepted(public=ledger.my_key().public, owner="Ada"), ADA, migration="credit")
    keep(ready)  # its run.json saw four entries
    cut = changed(ready, lambda lines: lines[:3])
    assert "its end was cut off" in cut


def test_every_flipped_byte_is_named(ready: Path) -> None:
    path = ledger.path_of(ready)
    whole = path.read_bytes()
    for place in range(0, len(whole), 11):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert ledger.verify(ready).problems, f"byte {place} of {whole[max(0, place - 20) : place + 20]!r}"


def test_a_flipped_byte_of_evidence_or_run_is_named_with_its_file(ready: Path) -> None:
    run = store.runs(ready)[0].folder
    for name in ("51_bias/evidence.json", "51_bias/seal.json"):
        whole = (run / name).read_bytes()
        (run / name).write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
        assert name in "\n".join(ledger.verify(ready).problems)
        (run / name).write_bytes(whole)
    assert ledger.verify(ready).problems == ()
    # A record rewritten with a digest of its own that fits is still not the one that was signed.
    record = store.runs(ready)[0].record
    assert record is not None
    store.write(run / store.RUN, record.model_copy(update={"command": "x"}).sealed().model_dump_json(indent=1))
    assert "is not the one that the ledger signed" in "\n".join(ledger.verify(ready).problems)


def test_a_run_that_is_gone_and_a_ledger_that_is_gone_are_named(ready: Path) -> None:
    run = store.runs(ready)[0]
    run.folder.rename(ready / "elsewhere")
    assert f"run {run.id}: the ledger knows it" in "\n".join(ledger.verify(ready).problems)
    (ready / "elsewhere").rename(run.folder)
    ledger.path_of(ready).unlink()
    assert "not in the ledger, which is missing" in "\n".join(ledger.verify(ready).problems)


def test_a_ledger_written_anew_under_another_key_is_named_by_who_holds_the_first(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = ledger.my_key().public
    ledger.path_of(ready).unlink()
    monkeypatch.setenv("WORKBENCH_KEYS", str(tmp_path / "forger"))
    ledger.append(ready, ledger.KeyAccepted(public=mine, owner="Ada"), ADA, migration="credit")
    assert "which nobody accepted" in "\n".join(ledger.verify(ready, [mine]).problems)


def test_another_key_signs_only_after_it_was_accepted(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, body = ledger.my_key().public, ledger.KeyAccepted(public=ledger.my_key().public, owner="X")
    with monkeypatch.context() as other:
        other.setenv("WORKBENCH_KEYS", str(tmp_path / "other"))
        second = ledger.my_key().public
        with pytest.raises(ledger.LedgerError, match="may not sign in this ledger yet"):
            ledger.append(ready, body, ADA, migration="credit")
    ledger.append(ready, ledger.KeyAccepted(public=second, owner="Bob"), ADA, migration="credit")
    monkeypatch.setenv("WORKBENCH_KEYS", str(tmp_path / "other"))
    ledger.append(ready, body, ADA, migration="credit")
    assert ledger.verify(ready, [first]).problems == ()


def test_asked_twice_is_one_entry(ready: Path) -> None:
    body = ledger.KeyAccepted(public=ledger.my_key().public, owner="Ada")
    first = ledger.append(ready, body, ADA, migration="credit", request="click-1")
    again = ledger.append(ready, body, ADA, migration="credit", request="click-1")
    assert first == again
    assert len(ledger.read(ready).entries) == 4


def test_nothing_is_added_to_a_damaged_ledger(ready: Path) -> None:
    path = ledger.path_of(ready)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ledger.LedgerError, match="not as it was written"):
        ledger.append(ready, ledger.KeyAccepted(public=ledger.my_key().public, owner="Ada"), ADA, migration="credit")


def test_a_newer_ledger_is_refused_by_name(ready: Path) -> None:
    path = ledger.path_of(ready)
    plain = json.loads(path.read_bytes().splitlines()[-1]) | {"version": 2}
    path.write_bytes(path.read_bytes() + json.dumps(plain).encode() + b"\n")
    assert "newer workbench" in "\n".join(ledger.verify(ready).problems)


def test_the_private_key_is_for_its_owner_only_and_outside_of_the_migration(ready: Path) -> None:
    from workbench.ledger import keys

    path = keys.place() / keys.FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert ready not in path.parents


DRIVER = """
# One process that has imported everything forks writers, and kills each somewhere in its signing.
import os, random, signal, sys, time
from pathlib import Path
from workbench import ledger

folder, end, times, key = Path(sys.argv[1]), signal.Signals[sys.argv[2]], int(sys.argv[3]), ledger.my_key()
rng = random.Random(7)

def sign(turn, told):
    for n in range(1000):
        request = f"r{turn}.{n}"
        actor = ledger.Actor(subject="a", issuer="t")
        body = ledger.KeyAccepted(public=key.public, owner=request)
        # Asked twice, as by a double click.
        for _ in range(2):
            ledger.append(folder, body, actor, migration="credit", request=request)
        os.write(told, f"{request} ".encode())

began = time.perf_counter()
ledger.append(folder, ledger.KeyAccepted(public=key.public, owner="x"), ledger.actor_here(), migration="credit")
took = max(time.perf_counter() - began, 0.01)
for turn in range(times):
    out, told = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            sign(turn, told)
        finally:
            os._exit(1)
    os.close(told)
    # Some of their entries are told first, so that the kill falls into the signing and not before it.
    heard, wanted = b"", rng.choice([0, 1, 1, 2])
    while heard.count(b" ") < wanted and (more := os.read(out, 1 << 16)):
        heard += more
    time.sleep(rng.uniform(0, took))
    os.kill(pid, end)
    since = time.monotonic()
    while not os.waitpid(pid, os.WNOHANG)[0]:
        if time.monotonic() > since + 10:  # what comes while Python tidies up is lost: a person presses again
            os.kill(pid, end)
            since = time.monotonic()
        time.sleep(0.001)
    print((heard + os.read(out, 1 << 16)).decode(), flush=True)
    os.close(out)
"""


def ended_while_signing(folder: Path, end: str, times: int) -> None:
    """What was told is in the ledger, once; what was not is in it whole or not at all."""
    command = [sys.executable, "-c", DRIVER, str(folder), end, str(times)]
    told = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    known = ledger.read(folder)
    requests = [entry.request for entry in known.entries if entry.request.startswith("r") and "." in entry.request]
    assert known.problems == ()
    assert len(told) >= 0.75 * times
    assert len(requests) == len(set(requests))
    assert told <= set(requests)
    assert len(set(requests) - told) <= times  # at most the one that each was ended in
    assert ledger.verify(folder).problems == ()


@pytest.mark.slow
def test_200_kills_while_signing_lose_and_double_nothing(credit: Path) -> None:
    ended_while_signing(credit, "SIGKILL", 200)


@pytest.mark.slow
def test_ctrl_c_while_signing_leaves_a_whole_entry_or_none_and_no_file_behind(credit: Path) -> None:
    ended_while_signing(credit, "SIGINT", 60)
    assert list(ledger.path_of(credit).parent.glob(".*.part")) == []


@pytest.mark.parametrize(("code", "word"), [(errno.EROFS, "read-only"), (errno.ENOLCK, "has no locks")])
def test_a_place_that_cannot_be_written_is_a_sentence_and_nothing_is_entered(
    credit: Path, monkeypatch: pytest.MonkeyPatch, code: int, word: str
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    before = ledger.path_of(credit).read_bytes()
    monkeypatch.setattr("workbench.ledger.chain.FileLock.acquire", refused)
    with pytest.raises(ledger.LedgerError, match=f"Nothing was entered.*{word}"):
        ledger.waive(open_migration(credit), "bias", GAP, reason="r", until=date.today(), actor=ADA)
    assert ledger.path_of(credit).read_bytes() == before


def test_a_clock_that_was_set_back_is_said_and_changes_no_order(credit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migration = open_migration(credit)

    class Back(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime(2020, 1, 1, tzinfo=UTC)

    monkeypatch.setattr("workbench.ledger.chain.datetime", Back)
    entry = ledger.waive(migration, "bias", GAP, reason="r", until=date.today(), actor=ADA)
    found = ledger.verify(credit)
    assert found.problems == ()
    assert any(f"Entry {entry.seq} is dated before" in fact for fact in found.facts)


@pytest.mark.parametrize(
    "line",
    [b"[" * 200_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b'{"seq": ' + b"9" * 5_000 + b"}", b'{"seq": NaN}', b"",
     b"\xef\xbb\xbf{}", b'"x"', b"[]"],
)  # fmt: skip
def test_a_line_that_would_break_a_parser_is_named(credit: Path, line: bytes) -> None:
    path = ledger.path_of(credit)
    path.write_bytes(path.read_bytes() + line + b"\n")
    found = ledger.read(credit)
    assert any(f"line {len(found.lines)}" in problem for problem in found.problems)


def test_a_number_that_was_made_up_is_not_counted_to(credit: Path) -> None:
    path = ledger.path_of(credit)
    path.write_bytes(path.read_bytes().replace(b'"seq":2,', b'"seq":2000000000,'))
    assert any("2000000000" in problem for problem in ledger.read(credit).problems)


def test_links_and_pipes_in_a_run_are_named(credit: Path) -> None:
    run = store.runs(credit)[0].folder
    place = run / "51_bias"
    (place / store.EVIDENCE).rename(credit / "elsewhere.json")
    (place / store.EVIDENCE).symlink_to(credit / "elsewhere.json")
    (run / "more").symlink_to("/etc")
    os.mkfifo(place / "pipe")
    said = " ".join(ledger.verify(credit).problems)
    for name in ("51_bias/evidence.json", "more", "51_bias/pipe"):
        assert f"{name}: a link, or no file" in said, name


def test_a_ledger_that_cannot_be_read_is_a_sentence(credit: Path) -> None:
    ledger.path_of(credit).unlink()
    ledger.path_of(credit).mkdir()
    with pytest.raises(ledger.LedgerError, match="could not be read"):
        ledger.verify(credit)
