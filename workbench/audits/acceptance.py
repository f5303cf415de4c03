"""What people who know the work say of single decisions, without knowing which model made which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from workbench import audit, uat
from workbench.audit import Kind, measured
from workbench.checks import cases as seen
from workbench.evidence import Finding, Limit, Measure, Status, Table
from workbench.measure import cases, intervals
from workbench.migration import Limits
from workbench.scored import Scored
from workbench.uat import Answer, Case, Comment, Withheld

QUESTION = "Do people who know the work stand behind its decisions?"
_NONE_YET = "there is no candidate: run 42_replatform; where it cannot make one, set candidate in migration.yaml"
_INVITE = "Invite reviewers (`workbench invite LOGIN --role ROLE`), start `workbench review`, and run this again."

SAMPLE = Kind(
    id="acceptance/cases",
    title="The cases people are asked about",
    why="A handful of rows picked by hand shows what someone wants to show; a plan with a seed shows what there is.",
    fix="Change `cases` or `seed`, and run again: answers to cases that stay are kept.",
)
PROGRESS = Kind(
    id="acceptance/progress",
    title="Every case has been judged",
    why="What nobody looked at is not accepted.",
    fix=_INVITE,
)
PREFERENCE = Kind(
    id="acceptance/preference",
    title="The candidate's decisions are accepted as often as the legacy's",
    why="People who do the work see at once what no metric does: a decision nobody could explain to a customer.",
    fix="Read the reasons given for the cases listed, and look at their explanations in 52_explainability.",
    source="paired difference of proportions, Tango 1998",
    limit=Limit(value=0, better="higher", margin=0.1),
)
REFUSED = Kind(
    id="acceptance/neither",
    title="Cases in which neither decision is accepted",
    why="A move is a chance to see what was wrong all along.",
    fix="Read the reasons: most of such cases are about the task or its data, not about either model.",
)
AGREEMENT = Kind(
    id="acceptance/agreement",
    title="Reviewers agree with each other",
    why="Where reviewers contradict each other, a majority among them means little.",
    fix="Let them talk about the cases they differ on, then judge anew.",
    source="Cohen 1960 for two reviewers, Fleiss 1971 for more",
)
REMARKS = Kind(
    id="acceptance/comments",
    title="What reviewers remarked",
    why="A sentence of somebody who does the work tells more than the share of cases they accept.",
    fix="Answer each one, or change what it is about, before the decision.",
)
KINDS = (SAMPLE, PROGRESS, PREFERENCE, REFUSED, AGREEMENT, REMARKS)
ACCEPTS = {"legacy": ("legacy", "both"), "candidate": ("candidate", "both")}


class Params(audit.Params):
    cases: int = Field(24, ge=4, le=500, description="rows to ask people about")
    reviewers: int = Field(2, ge=1, le=50, description="people who must have judged each case")
    seed: int = Field(0, description="seed of the sampling plan")


def run(
    scored: Scored,
    answers: tuple[Answer, ...] | None,
    comments: tuple[Comment, ...] | None,
    withheld: Withheld | None,
    artifacts: Path | None,
    limits: Limits,
    params: Params,
) -> Iterator[Finding]:
    """Samples the cases, and counts what was answered to them."""
    if scored.candidate is None or not len(scored):
        reason = _NONE_YET if scored.candidate is None else "no rows were scored: give a holdout that has some"
        yield from (kind.absent(reason) for kind in KINDS)
        return
    chosen = seen.sampled(scored, scored.candidate, params.cases, params.seed)
    if artifacts is not None:
        uat.write_cases(artifacts, chosen)
        if withheld is not None:
            withheld.write(seen.withheld(scored, chosen, withheld.kinds))
    known = {case.id for case in chosen}
    given = [answer for answer in answers or () if answer.case in known]
    yield _sampled(chosen, params)
    yield _progress(chosen, given, params)
    yield from _judged(chosen, given, limits)
    yield _remarked(chosen, comments or ())


def _sampled(chosen: Sequence[Case], params: Params) -> Finding:
    why = Counter(case.why for case in chosen)
    table = Table(title="Why they were sampled", columns=("why", "cases"), rows=tuple(sorted(why.items())))
    title = f"{len(chosen)} cases, by a plan with seed {params.seed}"
    return SAMPLE.found(title, status=Status.INFO, details=(table,))


def _progress(chosen: Sequence[Case], given: Sequence[Answer], params: Params) -> Finding:
    count = Counter(answer.case for answer in given)
    done = sum(count[case.id] >= params.reviewers for case in chosen)
    people = len({answer.by.casefold() for answer in given})
    title = f"{done} of {len(chosen)} cases were judged by {params.reviewers} or more; {people} took part"
    status = Status.PASS if done == len(chosen) else Status.MANUAL
    return PROGRESS.found(title, candidate=Measure(value=done, unit="cases", n=len(chosen)), status=status)


def _remarked(chosen: Sequence[Case], comments: Sequence[Comment]) -> Finding:
    number = {f"case/{case.id}": f"case {place}" for place, case in enumerate(chosen, 1)}
    people = {one.by.casefold() for one in comments}
    rows = tuple((number.get(one.about, one.about.partition("/")[2]), one.by, one.text) for one in comments)
    table = Table(title="Comments", columns=("about", "by", "comment"), rows=rows)
    title = f"{len(rows)} comments by {len(people)} reviewers" if rows else "No reviewer has remarked anything"
    return REMARKS.found(title, status=Status.INFO, details=(table,) if rows else ())


def _judged(chosen: Sequence[Case], given: Sequence[Answer], limits: Limits) -> Iterator[Finding]:
    decided = [answer for answer in given if answer.choice != "unsure"]
    if not decided:
        reason = "nobody has judged a case yet" if not given else "nobody was sure of any case"
        yield from (kind.absent(f"{reason}: invite reviewers") for kind in (PREFERENCE, REFUSED, AGREEMENT))
        return
    n = len(decided)
    accepted = {side: sum(answer.choice in kinds for answer in decided) for side, kinds in ACCEPTS.items()}
    sides = {
        side: measured((count / n, *intervals.wilson(count, n)), n, "Wilson score", unit="share")
        for side, count in accepted.items()
    }
    gained = sum(answer.choice == "candidate" for answer in decided)
    lost = sum(answer.choice == "legacy" for answer in decided)
    change = ((gained - lost) / n, *intervals.paired(gained, lost, n))
    yield PREFERENCE.found(
        legacy=sides["legacy"],
        candidate=sides["candidate"],
        change=measured(change, n, "Tango score", unit="share"),
        limit=limits.get(PREFERENCE.id),
        details=(_reasons("Where the legacy's decision was preferred", chosen, decided, "legacy"),),
    )
    refused = sum(answer.choice == "neither" for answer in decided)
    share = measured((refused / n, *intervals.wilson(refused, n)), n, "Wilson score", unit="share")
    table = _reasons("Where neither was accepted", chosen, decided, "neither")
    yield REFUSED.found(candidate=share, status=Status.WARN if refused else Status.PASS, details=(table,))
    yield _agreement(given)


def _reasons(title: str, chosen: Sequence[Case], given: Sequence[Answer], choice: str) -> Table:
    number = {case.id: place for place, case in enumerate(chosen, 1)}
    said = sorted((number[answer.case], answer.reason) for answer in given if answer.choice == choice)
    return Table(title=title, columns=("case", "reason given"), rows=tuple((case, text or None) for case, text in said))


def _agreement(given: Sequence[Answer]) -> Finding:
    """Among the reviewers who judged most cases in common."""
    by = pd.DataFrame([(answer.case, answer.by.casefold(), answer.choice) for answer in given], columns=list("cbx"))
    wide = by.pivot(index="c", columns="b", values="x").dropna()
    if wide.shape[1] < 2 or len(wide) < 2:
        return AGREEMENT.absent("it takes two reviewers who judged the same two cases or more")
    if wide.shape[1] == 2:
        value = cases.cohen_kappa(wide.iloc[:, 0].tolist(), wide.iloc[:, 1].tolist())
    else:
        choices = sorted(set(by["x"]))
        value = cases.fleiss_kappa(np.array([[list(row).count(one) for one in choices] for row in wide.to_numpy()]))
    method = "Cohen's kappa" if wide.shape[1] == 2 else "Fleiss' kappa"
    if np.isnan(value):
        return AGREEMENT.found(f"{wide.shape[1]} reviewers gave one and the same answer to all", status=Status.INFO)
    return AGREEMENT.found(candidate=Measure(value=value, n=len(wide), method=method), status=Status.INFO)
