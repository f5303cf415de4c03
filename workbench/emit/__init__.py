"""Evidence in the formats other tools read. Made from what is stored, offline; equal evidence gives equal bytes,
but for signatures.

    junit            findings.junit.xml    for CI
    cyclonedx        bom.cdx.json          CycloneDX 1.6 machine-learning bill of materials, with the model card
    oscal            assessment-results.json  OSCAL 1.1.3
    openlineage      lineage.jsonl         OpenLineage 2-0-2 run events
    in-toto          test-result.dsse.json in-toto test result about the candidate, signed
    model-signature  candidate.pt2.sig     OpenSSF model signature of the candidate, and its public key
    model-card       model-card.md         for people
    csv              findings.csv          for spreadsheets, with nothing a spreadsheet would run

A format is a function from `Story` to files; `FORMATS` names them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workbench import ledger
from workbench.emit import cyclonedx, junit, openlineage, oscal, signature, statement
from workbench.emit.story import Story, Told, gather
from workbench.render import findings_csv

__all__ = ["FORMATS", "Emitted", "NoFormatError", "Story", "Told", "emit", "everything", "gather"]

Files = dict[str, bytes]


class NoFormatError(Exception):
    """A format that is not known here, in a sentence."""


def _junit(told: Story) -> Files:
    return {"findings.junit.xml": junit.xml(told.name, [one.counted for one in told.told], told.silent)}


def _card(told: Story) -> Files:
    card = ledger.model_card(told.migration, [one.counted for one in told.told], told.gate)
    return {"model-card.md": card.encode()}


FORMATS: dict[str, Callable[[Story], Files]] = {
    "junit": _junit,
    "cyclonedx": lambda told: {"bom.cdx.json": cyclonedx.bom(told)},
    "oscal": lambda told: {"assessment-results.json": oscal.assessment(told)},
    "openlineage": lambda told: {"lineage.jsonl": openlineage.events(told)},
    "in-toto": lambda told: {"test-result.dsse.json": statement.signed(told)},
    "model-signature": signature.signed,
    "model-card": _card,
    "csv": lambda told: {"findings.csv": findings_csv(one.counted for one in told.told).encode("utf-8-sig")},
}


@dataclass(frozen=True)
class Emitted:
    """Files by name, and why a format is not among them, by format."""

    files: Files
    without: dict[str, str]


def emit(told: Story, name: str) -> Files:
    """The files of one format.

    Raises NoFormatError for an unknown one, LedgerError where what it is about is not there.
    """
    if name not in FORMATS:
        raise NoFormatError(f"{name!r} is no format that is known here: {', '.join(FORMATS)}")
    return FORMATS[name](told)


def everything(told: Story) -> Emitted:
    """Every format that can be made; of the others the reason."""
    files: Files = {}
    without: dict[str, str] = {}
    for name in FORMATS:
        try:
            files |= emit(told, name)
        except ledger.LedgerError as error:
            without[name] = str(error)
    return Emitted(files, without)
