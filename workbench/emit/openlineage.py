"""The run as OpenLineage events (2-0-2), one JSON object a line, as its file transport reads and writes them.

Each audit or mover is a job that read the data and models it was given and wrote its evidence, or the candidate; the
whole run is the parent of all. https://openlineage.io/docs/spec/object-model
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from workbench import __version__, catalog, store
from workbench.emit.story import HOME, Story, Told, utc, uuid_of
from workbench.evidence import Evidence, Status

Plain = dict[str, object]
SPEC = "https://openlineage.io/spec"
JOBS, FILES = "migration-workbench", "file"


def events(story: Story) -> bytes:
    """START and COMPLETE (or FAIL) of the run and of each of its notebooks, in the order of their times."""
    found = sorted([*_run(story), *(event for one in story.told for event in _audit(story, one))], key=_when)
    return "".join(json.dumps(event, sort_keys=True, ensure_ascii=False) + "\n" for event in found).encode()


def _when(event: Plain) -> str:
    return str(event["eventTime"])


def _run(story: Story) -> Iterator[Plain]:
    started = min((one.asked.started for one in story.told), default=story.finished)
    facets = {"processing_engine": _engine()}
    yield _event("START", started, _run_id(story), story.name, facets, [], [])
    yield _event("COMPLETE", story.finished, _run_id(story), story.name, facets, [], [])


def _audit(story: Story, told: Told) -> Iterator[Plain]:
    evidence = told.asked
    run, job = uuid_of("run", told.path, told.sha256), f"{story.name}.{evidence.audit}"
    broke = [finding.reason for finding in evidence.findings if finding.status is Status.ERROR]
    facets: dict[str, Plain] = {"parent": _parent(story), "processing_engine": _engine()}
    inputs = [_input(story, name, sha, evidence) for name, sha in evidence.subjects.items()]
    yield _event("START", evidence.started, run, job, facets, inputs, [])
    if broke:
        facets["errorMessage"] = _facet(
            "1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet",
            {"message": broke[0], "programmingLanguage": "Python"},
        )
    ended = evidence.started + timedelta(seconds=evidence.seconds)
    yield _event("FAIL" if broke else "COMPLETE", ended, run, job, facets, inputs, _outputs(story, told))


def _event(
    kind: str,
    when: datetime,
    run: str,
    job: str,
    facets: Mapping[str, Plain],
    inputs: list[Plain],
    outputs: list[Plain],
) -> Plain:
    return {
        "eventType": kind,
        "eventTime": utc(when),
        "run": {"runId": run, "facets": dict(facets)},
        "job": {"namespace": JOBS, "name": job, "facets": {"jobType": _job_type()}},
        "inputs": inputs,
        "outputs": outputs,
        "producer": HOME,
        "schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
    }


def _input(story: Story, name: str, sha: str, evidence: Evidence) -> Plain:
    facets = {"version": _version(sha)}
    found: Plain = {"namespace": FILES, "name": _place(story, name), "facets": facets, "inputFacets": {}}
    if name == "holdout" and (assertions := _assertions(evidence)):
        schema = "1-0-2/DataQualityAssertionsDatasetFacet.json#/$defs/DataQualityAssertionsDatasetFacet"
        found["inputFacets"] = {"dataQualityAssertions": _facet(schema, {"assertions": assertions})}
    return found


def _place(story: Story, name: str) -> str:
    """As declared in migration.yaml: a place on this machine would mean nothing elsewhere."""
    migration = story.migration
    models = {"legacy": migration.legacy.uri, "candidate": story.candidate.name if story.candidate else name}
    declared: str | tuple[str, ...] = models.get(name) or getattr(migration.data, name, None) or name
    return f"{story.name}/{declared if isinstance(declared, str) else ','.join(declared)}"


def _assertions(evidence: Evidence) -> list[Plain]:
    """What was judged, as assertions: only a pass is a success; what nobody could look at asserts nothing."""
    judged = (Status.PASS, Status.WARN, Status.FAIL)
    return [
        {"assertion": finding.id, "success": finding.status is Status.PASS}
        | ({"column": finding.subject} if finding.subject else {})
        for finding in evidence.findings
        if finding.status in judged
    ]


def _outputs(story: Story, told: Told) -> list[Plain]:
    """The evidence, and of a mover what it made."""
    written = {told.path: told.sha256}
    if catalog.entry(told.asked.audit).kind == "mover" and story.candidate:
        written[_place(story, "candidate")] = store.seal_of(story.candidate).sha256
    return [
        {"namespace": FILES, "name": name, "facets": {"version": _version(sha)}, "outputFacets": {}}
        for name, sha in written.items()
    ]


def _run_id(story: Story) -> str:
    return uuid_of("journey", story.name, story.run.id)


def _parent(story: Story) -> Plain:
    of = {"run": {"runId": _run_id(story)}, "job": {"namespace": JOBS, "name": story.name}}
    return _facet("1-1-0/ParentRunFacet.json#/$defs/ParentRunFacet", of)


def _engine() -> Plain:
    said: Plain = {"version": __version__, "name": "migration-workbench"}
    return _facet("1-1-1/ProcessingEngineRunFacet.json#/$defs/ProcessingEngineRunFacet", said)


def _job_type() -> Plain:
    said: Plain = {"processingType": "BATCH", "integration": "MIGRATION_WORKBENCH", "jobType": "AUDIT"}
    return _facet("2-0-3/JobTypeJobFacet.json#/$defs/JobTypeJobFacet", said)


def _version(sha256: str) -> Plain:
    schema = "1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet"
    return _facet(schema, {"datasetVersion": sha256})


def _facet(schema: str, content: Mapping[str, object]) -> Plain:
    return {"_producer": HOME, "_schemaURL": f"{SPEC}/facets/{schema}", **content}
