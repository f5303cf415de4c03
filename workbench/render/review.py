"""Pages for reviewers around the evidence: the bar on top, login, notices, the decision form. Plain data in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.render import place


@dataclass(frozen=True)
class Bar:
    """What stands above every page. root: path all links start from, ends with "/"; xsrf: token of its forms.

    links: (path below root, label). here: the path of this page. who: "" for a visitor who did not log in.
    explore: the notebook that can be opened with its controls, "" where there is none. steps: the journey by chapter,
    (title, ((path below root, label), ...)), to go from one notebook to the next.
    """

    root: str
    migration: str
    who: str = ""
    links: tuple[tuple[str, str], ...] = ()
    here: str = ""
    xsrf: str = ""
    note: str = ""
    explore: str = ""
    steps: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()


@dataclass(frozen=True)
class ReasonShown:
    """One reason behind a decision. weight: 0 to 100, of the largest shown; raises: towards the positive class."""

    name: str
    value: str
    weight: int
    raises: bool


@dataclass(frozen=True)
class SideShown:
    """What one of the two models says of a case, whichever it is."""

    answer: str
    score: str
    reasons: tuple[ReasonShown, ...] = ()


@dataclass(frozen=True)
class CaseShown:
    """A case on the screen. case: its id; choices: what can be answered, {value: words}; chosen: the answer so far."""

    case: str
    number: int
    of: int
    done: int
    why: str
    row: Mapping[str, str]
    same: bool
    a: SideShown
    b: SideShown
    choices: Mapping[str, str]
    chosen: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Subject:
    """One thing that is signed: what it is, its sha256."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Vote:
    """A decision that was made. number: of its ledger entry; mine: the reader can take it back."""

    number: int
    who: str
    role: str
    decision: str
    when: str
    comment: str = ""
    conditions: tuple[str, ...] = ()
    stale: str = ""
    mine: bool = False


@dataclass(frozen=True)
class Choice:
    """What the decision form shows. seen: stands for all subjects as shown; request: makes a double click one entry.

    blocks: what stands in the way of a plain yes. cannot: why this reader cannot decide, "" if they can.
    """

    sentence: str
    roles: tuple[str, ...]
    seen: str
    request: str
    subjects: tuple[Subject, ...]
    votes: tuple[Vote, ...] = ()
    blocks: tuple[str, ...] = ()
    cannot: str = ""
    said: str = ""
    wrong: str = ""


@dataclass(frozen=True)
class RemarkShown:
    """One comment. link: path below root of what it is about, "" where there is no page; mine: it can be changed."""

    id: str
    about: str
    link: str
    who: str
    when: str
    text: str
    shared: bool
    mine: bool


@dataclass(frozen=True)
class Remarks:
    """The page of comments. subjects: what can be commented on, {about: words}; about: what is chosen; waiting: cases
    the reader has to judge before others' comments are shown; cannot: why this reader cannot write, "" if they can."""

    about: str
    subjects: Mapping[str, str]
    comments: tuple[RemarkShown, ...] = ()
    waiting: int = 0
    cannot: str = ""
    wrong: str = ""
    text: str = ""


@dataclass(frozen=True)
class Lead:
    """What stands above a notebook: its question and the verdict as stored. back: path below root of its evidence."""

    name: str
    question: str
    head: str
    rest: str = ""
    status: str = ""
    back: str = ""


@dataclass(frozen=True)
class Line:
    """The line of people who wait for a page with controls. ahead: before this reader; again: seconds until the page
    asks anew by itself."""

    ahead: int
    again: int


def policy() -> str:
    """Content-Security-Policy of these pages: nothing from elsewhere, no script at all, forms to ourselves."""
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def notice(bar: Bar, title: str, paragraphs: Sequence[str] = (), links: Sequence[tuple[str, str]] = ()) -> str:
    """A page that says one thing. links: where to go from here, (path below root, label), the likeliest first."""
    return _drawn("notice.html.j2", bar, title=title, paragraphs=tuple(paragraphs), links=tuple(links))


def welcome(bar: Bar, name: str, secret: str) -> str:
    """Where a link leads: nothing is used up until the person goes on, so that a mail program's preview uses none."""
    return _drawn("welcome.html.j2", bar, title=f"Review of {bar.migration}", name=name, secret=secret)


def case(bar: Bar, shown: CaseShown, wrong: str = "") -> str:
    """One case to judge, with what was answered before."""
    return _drawn("case.html.j2", bar, title=f"Case {shown.number} of {shown.of}", shown=shown, wrong=wrong)


def decision(bar: Bar, choice: Choice) -> str:
    """The form, what it is about, and what others decided."""
    return _drawn("decide.html.j2", bar, title="Your decision", choice=choice)


def comments(bar: Bar, shown: Remarks) -> str:
    """What people remarked, and where to write."""
    return _drawn("comments.html.j2", bar, title="Comments", shown=shown)


def connecting(bar: Bar, lead: Lead, line: Line | None = None) -> str:
    """What a person sees until the page with controls is there: it is drawn at once, and goes on by itself."""
    return _drawn("connecting.html.j2", bar, title=lead.question, line=line, **vars(lead))


def live(bar: Bar, lead: Lead) -> dict[str, str]:
    """What Voila's template puts into its page: {"head": styles, "top": everything above the first cell}."""
    parts = {"head": "live_head.html.j2", "top": "live.html.j2"}
    return {part: _drawn(template, bar, **vars(lead)) for part, template in parts.items()}


def _drawn(template: str, bar: Bar, **context: object) -> str:
    return place.environment().get_template(template).render(bar=bar, csp=policy(), **context)
