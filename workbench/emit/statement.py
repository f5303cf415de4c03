"""What was tested and how it ended, about the candidate's file: an in-toto test result in a DSSE envelope.

Statement v1 with the predicate https://in-toto.io/attestation/test-result/v0.1, signed (Ed25519) with the key that
signs the ledger. Any DSSE verifier that holds the public key can check it, and any policy engine read it.
"""

from __future__ import annotations

from workbench import ledger, store
from workbench.emit.story import Story
from workbench.evidence import Finding, Status
from workbench.migration import FILE

PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
Plain = dict[str, object]


def signed(story: Story) -> bytes:
    """Raises LedgerError where there is no candidate file to speak of, SigningKeyError."""
    return ledger.signed_statement(plain(story))


def plain(story: Story) -> Plain:
    path = story.candidate
    if path is None:
        raise ledger.LedgerError("There is no candidate file to make a statement about. Make one: workbench run FOLDER")
    found = story.findings
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": path.name, "digest": {"sha256": store.seal_of(path).sha256}}],
        "predicateType": PREDICATE,
        "predicate": {
            "result": result(story),
            "configuration": [{"name": FILE, "digest": {"sha256": ledger.criteria(story.migration)}}]
            + [{"name": one.path, "digest": {"sha256": one.sha256}} for one in story.told],
            "passedTests": _keys(found, Status.PASS),
            "warnedTests": _keys(found, Status.WARN),
            "failedTests": [*_keys(found, Status.FAIL, Status.ERROR), *map("{}/not-run".format, story.silent)],
        },
    }


def result(story: Story) -> str:
    """PASSED only where every question has evidence and nothing failed, broke or was left open."""
    found = {finding.status for finding in story.findings}
    if story.silent or found & {Status.FAIL, Status.ERROR, Status.ABSENT}:
        return "FAILED"
    return "WARNED" if found & {Status.WARN, Status.MANUAL} else "PASSED"


def _keys(findings: list[Finding], *statuses: Status) -> list[str]:
    return [finding.key for finding in findings if finding.status in statuses]
