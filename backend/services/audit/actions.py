"""What the audit log records: one entry for each action.

To record a further act, add its line here and call `audit.record` where the act happens; the page,
the filters, the guide's table and the tests have it then.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """One kind of act.

    Attributes:
        words: what was done, as it follows the name of who did it; `{subject}` and what the detail
            holds may stand in it.
        holds: keys of the detail; a name, an id, a count, a digest or a reason that was typed, and
            never a text that is reviewed or learned from.
        reads: texts were given out by it.
    """

    words: str
    holds: tuple[str, ...] = ()
    reads: bool = False


ACTIONS: dict[str, Action] = {
    # who comes and goes
    "signin.passed": Action("signed in from {network}", ("method", "network")),
    "signin.refused": Action(
        "was refused at sign-in from {network}: {reason}",
        ("reason", "network", "known", "not_written"),
    ),
    "signin.ended": Action("signed out"),
    "session.ended": Action("signed out {subject} ({browsers} browsers)", ("browsers",)),
    "token.made": Action("made {subject} for {owner}", ("owner", "name", "days")),
    "token.revoked": Action("revoked {subject} of {owner}", ("owner", "name")),
    "token.used": Action("used {subject}, for the first time that day"),
    "password.changed": Action("changed the password of {subject}", ("by",)),
    "user.made": Action("added {subject} as {role}", ("role", "pseudonym", "simulated")),
    "user.role_changed": Action("made {subject} {after}, who was {before}", ("before", "after")),
    "user.barred": Action("barred {subject}", ("tokens",)),
    "user.let_in": Action("let {subject} in again"),
    "member.added": Action("let {subject} into the project"),
    "member.removed": Action("took {subject} out of the project"),
    # who saw what
    "texts.read": Action("read {n} {of} of {subject}", ("route", "of", "n", "ids"), reads=True),
    "export.begun": Action(
        "began to export {subject} as {format}", ("route", "format"), reads=True
    ),
    "export.ended": Action(
        "exported {lines} lines of {subject}",
        ("route", "format", "lines", "bytes", "sha256"),
        reads=True,
    ),
    "command.run": Action("ran {command}", ("command",)),
    "command.read": Action("looked at texts by {command}", ("command",), reads=True),
    # what came in, what was decided
    "project.made": Action("began the project", ("name", "base_model")),
    "dataset.imported": Action(
        "imported {rows} rows as {name}, version {number}",
        ("name", "number", "rows", "digest", "known"),
    ),
    "outputs.imported": Action("imported {rows} outputs as {subject}", ("rows", "digest")),
    "answers.imported": Action("imported {rows} answers from {source}", ("rows", "source")),
    "manifest.set": Action("set the bar, version {version}", ("version", "digest", "lines")),
    "prompt.added": Action("added prompt {name}, version {version}", ("name", "version", "digest")),
    "model.added": Action("registered {name} as {subject}", ("name", "digest")),
    "queue.opened": Action("opened {subject} with {items} items", ("name", "items")),
    "queue.closed": Action("closed {subject}"),
    "gold.set": Action("set {n} known answers in {subject}", ("n",)),
    "gold.withdrawn": Action("withdrew {subject}", ("reason",)),
    "gold.resolved": Action("decided on {subject}: {resolution}", ("resolution", "reason")),
    "adjudication.decided": Action("decided {subject}", ("item",)),
    "review.withdrawn": Action("withdrew {subject}", ("reason",)),
    "set.frozen": Action("froze training set {name} of {rows} rows", ("name", "rows", "digest")),
    "training.started": Action("started {subject} of {adapter}", ("adapter", "set", "manifest")),
    "job.cancelled": Action("cancelled {subject}", ("reason",)),
    "promotion.made": Action(
        "pointed {alias} at {model}", ("alias", "model", "comparison", "verdict", "override")
    ),
    "promotion.rolled_back": Action(
        "pointed {alias} back at {model}", ("alias", "model", "reason")
    ),
    "webhook.added": Action("told {host} of events as {subject}", ("host",)),
    "webhook.removed": Action("told {subject} no more"),
    # the installation
    "backup.made": Action("wrote a backup", ("bytes", "sha256")),
    "backup.restored": Action("restored the installation from a backup", ("sha256",)),
    "settings.changed": Action("changed {setting}", ("setting", "before", "after")),
}
