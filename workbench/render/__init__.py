"""Evidence drawn: HTML pages, notebook cells, plain text. Imports `workbench.evidence` only, and computes nothing."""

from workbench.render.export import findings_csv
from workbench.render.notebook import charts, show
from workbench.render.pages import Chapter, page, report
from workbench.render.pdf import NoPdfError, pdf
from workbench.render.review import (
    Bar,
    CaseShown,
    Choice,
    Lead,
    Line,
    ReasonShown,
    Remarks,
    RemarkShown,
    SideShown,
    Subject,
    Vote,
    case,
    comments,
    connecting,
    decision,
    live,
    notice,
    policy,
    welcome,
)
from workbench.render.text import lines, marked

__all__ = [
    "Bar",
    "CaseShown",
    "Chapter",
    "Choice",
    "Lead",
    "Line",
    "NoPdfError",
    "ReasonShown",
    "RemarkShown",
    "Remarks",
    "SideShown",
    "Subject",
    "Vote",
    "case",
    "charts",
    "comments",
    "connecting",
    "decision",
    "findings_csv",
    "lines",
    "live",
    "marked",
    "notice",
    "page",
    "pdf",
    "policy",
    "report",
    "show",
    "welcome",
]
