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
    "signin.passed": Action(
        "signed in by {method} from {network}", ("method", "network", "factor")
    ),
    "signin.refused": Action(
        "was refused at sign-in as {subject} from {network}: {reason}",
        ("reason", "network", "known", "not_written"),
    ),
    "signin.ended": Action("ended a sign-in of {subject}"),
    "signin.locked": Action("has to wait after failed sign-ins from {network}", ("network",)),
    "signin.unlocked": Action("ended the wait of {subject} after failed sign-ins"),
    "link.made": Action("made a link for {subject}: {purpose}", ("purpose", "link", "until")),
    "link.used": Action("used the link of {subject}: {purpose}", ("purpose",)),
    "second_factor.set": Action("set up the second factor of {subject}"),
    "second_factor.removed": Action("took the second factor of {subject} away"),
    "second_factor.recovered": Action("used a recovery code of {subject}", ("left",)),
    "second_factor.required": Action("had {subject} need a second factor"),
    "second_factor.not_required": Action("had {subject} need no second factor"),
    "identity.linked": Action("said who {subject} is at {issuer}", ("issuer",)),
    "identity.unlinked": Action("forgot who {subject} is at their provider", ("accounts",)),
    "token.made": Action("made token {name} for {owner}", ("owner", "name", "until")),
    "token.revoked": Action("revoked token {name} of {owner}", ("owner", "name")),
    "token.used": Action("came by {subject} for the first time that day"),
    "password.changed": Action("changed the password of {subject}"),
    "user.made": Action("added {subject} as {role}", ("role", "pseudonym", "simulated")),
    "user.role_changed": Action("made {subject} {after}, before {before}", ("before", "after")),
    "user.barred": Action("barred {subject}"),
    "user.let_in": Action("let {subject} in again"),
    "member.added": Action("let {subject} into the project"),
    "member.removed": Action("took {subject} out of the project"),
    # who saw what
    "texts.read": Action("read {n} {of} of {subject}", ("route", "of", "n", "ids"), reads=True),
    "export.begun": Action(
        "began to export {of} of {subject}", ("route", "of", "format"), reads=True
    ),
    "export.ended": Action(
        "exported {lines} lines of {of} of {subject}",
        ("route", "of", "format", "lines", "bytes", "sha256"),
        reads=True,
    ),
    # what came in, what was decided
    "project.made": Action("began the project {name}", ("name",)),
    "dataset.imported": Action("imported {rows} rows as {subject}", ("number", "rows", "digest")),
    "dataset.examined": Action(
        "examined {subject}: {flagged} rows flagged", ("digest", "worst", "flagged")
    ),
    "finding.sent_to_review": Action(
        "put {items} flagged rows before experts, as {subject}", ("health_report", "items")
    ),
    "drafting.asked": Action(
        "had {model} draft {wanted} rows from {from}, as {subject}", ("from", "model", "wanted")
    ),
    "drafting.finished": Action(
        "kept {kept} of {drafted} drafts of {subject}", ("kept", "drafted")
    ),
    "synthetic_queue.opened": Action(
        "put {drafts} drafts before experts, as {subject}", ("drafting", "drafts")
    ),
    "counterfactuals.made": Action(
        "made {pairs} counterfactual pairs of dataset version {of} as {subject}", ("of", "pairs")
    ),
    "outputs.imported": Action("imported outputs as {subject}", ("split", "engine")),
    "answers.imported": Action(
        "imported {taken} answers from {source}", ("source", "taken", "repeated", "refused")
    ),
    "masking_policy.set": Action(
        "set the masking policy, version {version}", ("version", "digest")
    ),
    "manifest.set": Action("set the bar, version {version}", ("version", "digest")),
    "prompt.added": Action("added prompt {name}, version {version}", ("name", "version", "digest")),
    "rubric.saved": Action("saved rubric {name}, version {version}", ("name", "version", "digest")),
    "model.added": Action("registered the model {name}", ("name", "digest")),
    "run.started": Action(
        "had models write over the split {split}, as {subject}", ("split", "engine")
    ),
    "queue.opened": Action("opened the queue {name}", ("name", "kind")),
    "queue.closed": Action("closed {subject}"),
    "gold.set": Action("set the known answer {subject}"),
    "gold.withdrawn": Action("withdrew the known answer {subject}"),
    "gold.resolved": Action("settled the contest of {subject}: {resolution}", ("resolution",)),
    "adjudication.decided": Action("decided the disagreement {subject}", ("review",)),
    "review.withdrawn": Action("withdrew {subject}"),
    "set.frozen": Action(
        "froze the training set {name} of {rows} rows", ("name", "rows", "digest")
    ),
    "training.started": Action("started the training of {adapter}", ("adapter", "set", "manifest")),
    "promotion.made": Action(
        "pointed {alias} at model {model}",
        ("alias", "model", "comparison", "override", "simulated"),
    ),
    "promotion.held": Action(
        "held model {model} back from {alias}",
        ("alias", "model", "comparison", "override", "simulated"),
    ),
    "promotion.rolled_back": Action(
        "pointed {alias} back at model {model}",
        ("alias", "model", "comparison", "override", "simulated"),
    ),
    "dossier.made": Action(
        "signed a dossier on {subject}, comparison {comparison}", ("comparison", "with_texts")
    ),
    "dossier.answered": Action("answered {questions} for the dossier", ("questions",)),
    "webhook.added": Action("had {host} told of events", ("host",)),
    "webhook.removed": Action("had {subject} told no more"),
    # what goes
    "example.erased": Action(
        "erased {examples} examples, as {subject}",
        ("rows", "examples", "sets", "adapters", "digest"),
    ),
    "person.erased": Action(
        "erased a person, as {subject}", ("rows", "examples", "sets", "adapters", "digest")
    ),
    "retention.set": Action("set how long {subject} is kept to {days} days", ("days", "before")),
    "retention.swept": Action("cleared {n} of {subject} after {days} days", ("n", "days")),
    # the installation
    "backup.made": Action("wrote a backup of {bytes} bytes", ("bytes", "sha256")),
    "backup.restored": Action("restored the installation from a backup", ("sha256",)),
}
