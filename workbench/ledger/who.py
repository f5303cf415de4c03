"""Who acts at this command line: whoever the hub or the machine says is logged in."""

from __future__ import annotations

from workbench import store
from workbench.ledger.entries import Actor


def actor_here() -> Actor:
    """The person behind this process. Whoever may write to the migration's folder could claim another name here;
    people who must not be able to are asked through `workbench review`, where they log in."""
    subject, issuer = store.user()
    return Actor(subject=subject, issuer=issuer)
