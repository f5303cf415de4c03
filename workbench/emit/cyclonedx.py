"""The candidate as a CycloneDX 1.6 machine-learning bill of materials (ECMA-424): https://cyclonedx.org/docs/1.6/json/

The candidate is the component described, with its model card; the legacy model, the data both were judged on and the
libraries that made the numbers are its parts. What nobody declared (a licence) is said to be unknown, not left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from workbench import __version__, store
from workbench.emit.story import Story, utc, uuid_of
from workbench.evidence import Evidence, Finding, Measure, Status

Plain = dict[str, object]
DATA = ("train", "holdout", "production")
UNKNOWN = "unknown: nobody declared one"
_TASKS = {"binary": "binary classification", "multiclass": "classification", "regression": "regression"}
_QUALITY = ("parity/", "bias/", "robustness/")
_OPEN = (Status.FAIL, Status.ERROR, Status.ABSENT, Status.WARN)


def bom(story: Story) -> bytes:
    """As JSON. Held against the schema that cyclonedx-python-lib brings, where that is installed.

    Raises RuntimeError if it does not follow the schema, which is a fault of ours.
    """
    datasets, libraries = list(_datasets(story)), list(_libraries(story))
    parts = [*_legacy(story), *datasets, *libraries]
    made: Plain = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid_of('cyclonedx', story.name, story.run.id)}",
        "version": 1,
        "metadata": {
            "timestamp": utc(story.finished),
            "lifecycles": [{"phase": "post-build"}],
            "tools": {"components": [{"type": "application", "name": "migration-workbench", "version": __version__}]},
            "component": _candidate(story, [str(one["bom-ref"]) for one in datasets]),
        },
        "components": parts,
        "dependencies": [
            {"ref": "candidate", "dependsOn": sorted({str(part["bom-ref"]) for part in [*_legacy(story), *libraries]})},
        ],
        # Libraries are those that made the numbers, as installed; what they depend on is not listed.
        "compositions": [{"aggregate": "incomplete", "assemblies": ["candidate"]}],
        "properties": [
            _property("run", story.run.id),
            _property("ledger checkpoint", story.checkpoint or "none"),
            _property("sign-off", story.gate.sentence),
        ],
    }
    text = json.dumps(made, indent=1, ensure_ascii=False)
    if problem := invalid(text):
        raise RuntimeError(f"the bill of materials does not follow CycloneDX 1.6: {problem}")
    return text.encode() + b"\n"


def invalid(text: str) -> str:
    """What the CycloneDX schema finds wrong; "" where nothing is, or the schema is not installed."""
    try:
        from cyclonedx.exception import MissingOptionalDependencyException
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError:
        return ""
    try:
        found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    except MissingOptionalDependencyException:
        return ""
    return str(found) if found else ""


def _candidate(story: Story, datasets: list[str]) -> Plain:
    path = story.candidate
    component: Plain = {
        "type": "machine-learning-model",
        "bom-ref": "candidate",
        "name": f"{story.name}: candidate",
        "description": f"Predicts {story.migration.task.target}; moved from {story.migration.legacy.uri} to PyTorch.",
        "modelCard": _card(story, datasets),
        "properties": [_property("licence", UNKNOWN)],
    }
    if path is None:
        component["properties"] = [_property("licence", UNKNOWN), _property("file", "there is no candidate file yet")]
        return component
    sealed = store.seal_of(path)
    return component | {"version": sealed.sha256[:16], "hashes": [_hash(sealed.sha256)], "mime-type": "application/zip"}


def _legacy(story: Story) -> list[Plain]:
    source = story.migration.legacy
    component: Plain = {
        "type": "machine-learning-model",
        "bom-ref": "legacy",
        "name": f"{story.name}: legacy model",
        "description": source.uri,
        "properties": [_property("licence", UNKNOWN)],
    }
    path = story.migration.folder / source.uri
    return [component | ({"hashes": [_hash(store.seal_of(path).sha256)]} if path.is_file() else {})]


def _datasets(story: Story) -> Iterator[Plain]:
    prints = {name: sha for one in story.told for name, sha in one.asked.subjects.items()}
    personal = list(story.migration.roles.personal)
    for name in DATA:
        given = getattr(story.migration.data, name)
        if not given:
            continue
        dataset: Plain = {"type": "dataset", "name": name, "description": _listed(given)}
        if personal:
            dataset["sensitiveData"] = [f"column {column}" for column in personal]
        yield {
            "type": "data",
            "bom-ref": f"data:{name}",
            "name": f"{story.name}: {name}",
            "data": [dataset],
            "properties": [_property("licence", UNKNOWN), _property("fingerprint", prints.get(name, "not read"))],
        }


def _libraries(story: Story) -> Iterator[Plain]:
    versions: dict[str, str] = {}
    for one in story.told:
        versions |= one.asked.environment
    for name, version in sorted(versions.items()):
        if name in ("python", "machine", "migration-workbench"):
            continue
        purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version.replace('+', '%2B')}"
        yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _card(story: Story, datasets: list[str]) -> Plain:
    task, findings = story.migration.task, story.findings
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": _TASKS[task.kind],
            "datasets": [{"ref": ref} for ref in datasets],
        },
        "quantitativeAnalysis": {"performanceMetrics": [m for one in story.told for m in _metrics(one.counted)]},
        "considerations": {
            "technicalLimitations": [_sentence(one) for one in findings if one.status in _OPEN] or ["none found"],
            "fairnessAssessments": [
                {"groupAtRisk": finding.subject, "harms": _sentence(finding), "mitigationStrategy": finding.fix}
                for finding in findings
                if finding.id.startswith("bias/") and finding.subject and finding.status in _OPEN
            ],
        },
        "properties": [_property(one.counted.audit, one.counted.verdict.sentence) for one in story.told],
    }


def _metrics(evidence: Evidence) -> Iterator[Plain]:
    """Every number of the candidate on the rows both models answered, and how far it is from the legacy's."""
    for finding in evidence.findings:
        for side, measure in (("candidate", finding.candidate), ("change", finding.change)):
            if finding.id.startswith(_QUALITY) and measure is not None and math.isfinite(measure.value):
                yield _metric(finding, side, measure)


def _metric(finding: Finding, side: str, measure: Measure) -> Plain:
    kind = finding.id if side == "candidate" else f"{finding.id} (candidate - legacy)"
    metric: Plain = {"type": kind, "value": f"{measure.value:.10g}{_unit(measure)}"}
    if finding.subject:
        metric["slice"] = finding.subject
    bounds = {"lowerBound": measure.low, "upperBound": measure.high}
    known = {name: f"{value:.10g}" for name, value in bounds.items() if value is not None and math.isfinite(value)}
    return metric | ({"confidenceInterval": known} if known else {})


def _unit(measure: Measure) -> str:
    return "" if measure.unit in ("", "share") else f" {measure.unit}"


def _sentence(finding: Finding) -> str:
    about = f" ({finding.subject})" if finding.subject else ""
    return " ".join(f"{finding.title}{about}: {finding.status}. {finding.reason}".split())


def _listed(given: str | tuple[str, ...]) -> str:
    return given if isinstance(given, str) else ", ".join(map(str, given))


def _hash(sha256: str) -> Plain:
    return {"alg": "SHA-256", "content": sha256}


def _property(name: str, value: str) -> Plain:
    return {"name": f"workbench:{name}", "value": value}
