"""What may stand in a list of requirements: packages with their versions, and nothing that could name another place."""

from __future__ import annotations

import re

REQUIREMENT = re.compile(
    r"([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9])"  # a name, as PEP 508 has it
    r"(\[[A-Za-z0-9._-]+(, ?[A-Za-z0-9._-]+)*\])?"
    r"( ?(==|!=|<=|>=|~=|<|>) ?[A-Za-z0-9.*+!_-]+(, ?(==|!=|<=|>=|~=|<|>) ?[A-Za-z0-9.*+!_-]+)*)?"
)


def requirement_problem(text: str) -> str:
    """What is wrong with a requirement, "" for nothing."""
    if len(text) <= 200 and text.isascii() and REQUIREMENT.fullmatch(text):
        return ""
    return (
        f"{text[:80]!r} is no plain requirement: write a package with its versions, such as scikit-learn==1.2.2. "
        "Addresses, paths and options of pip are not taken here: put an index into pip's own configuration"
    )
