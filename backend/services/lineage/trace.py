"""Lineage: what an adapter was made of, and what one correction went into; both ways.

A graph of what is recorded: datasets, runs, queues, people (by pseudonym), training sets, training
runs, models, verdicts and promotions. Edges follow the data. Rows of a set are counted by where
they come from, not listed one by one; one review is followed by its id. What has been withdrawn
since, and what is simulated, says so.

The nodes of lineage: each thing with its key, its facts and what one has to know first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from backend.errors import InvalidInput, NotFound
from backend.schemas.common import row_number
from backend.schemas.rounds import LineageEdge, LineageNode, LineageOut
from backend.services.curation import find_training_set, list_training_sets, sets_with_review
from backend.services.curation.recipes import prompt_label, prompt_of_set
from backend.services.datasets.prompts.prompts import find_prompt
from backend.services.datasets.versions import find_version
from backend.services.derivation import (
    Contribution,
    adapters_of_set,
    adapters_on,
    contributions,
    drafting_of_run,
    merged_from,
    merges_of,
    models_started_from,
    replayed,
    review_in_project,
    sources_of_drafting,
    uses_of_model,
    uses_of_run,
    uses_of_version,
    withdrawn_rows,
)
from backend.services.models.candidates import candidates_of, candidates_with
from backend.services.models.others import list_bases
from backend.services.models.versions import find_model, models_of_weights
from backend.services.runs.generation import get_run
from backend.services.yields import ReviewOutcome, states_of_review
from backend.tables.curation import TrainingSet
from backend.tables.datasets import DatasetVersion
from backend.tables.models import BASE, ModelKind, ModelVersion, Prompt
from backend.tables.review import Review, ReviewQueue
from backend.tables.runs import GenerationRun
from backend.tables.synthetic import Drafting
from backend.tables.training import TrainingRun

SHOWN_SOURCES = 12


def _node(
    kind: str, name: str | int, title: str, facts: Sequence[str] = (), marks: Sequence[str] = ()
) -> LineageNode:
    return LineageNode(
        key=f"{kind}:{name}", kind=kind, title=title, facts=list(facts), marks=list(marks)
    )


def model_node(session: Session, model: ModelVersion) -> LineageNode:
    """A model, with what is known of its making."""
    withdrawn = withdrawn_rows(session, model.id)
    if model.only_outputs:
        facts = ["outputs imported, not proved to be of a model"]
        return _node("model", model.label, model.label, facts)
    elsewhere = model.kind == ModelKind.SERVED
    facts = [f"{'served elsewhere as' if elsewhere else 'base'} {model.base_model}"]
    if model.is_checker:
        facts.append(f"a checker, asked as {model.check_name}")
    if model.adapter_sha256:
        facts.append(f"sha256 {model.adapter_sha256[:12]}")
    unknown = not model.is_base and model.without_prompt.training_run_id is None
    if unknown and not merged_from(session, model):
        facts.append("trained elsewhere: what it was made of is not known")
        facts += _recorded_start(session, model)
    marks = (f"{withdrawn} rows withdrawn since",) if withdrawn else ()
    return _node("model", model.label, model.label, facts, marks)


def _recorded_start(session: Session, model: ModelVersion) -> list[str]:
    """The weights that an adapter trained elsewhere went on from, as its own record says."""
    sha256 = (model.training_facts or {}).get("start_from_sha256")
    if not sha256:
        return []
    known = [m for m in models_of_weights(session, sha256) if m.project_id == model.project_id]
    if known:
        return [f"went on from {known[0].label}, says its record"]
    return [f"went on from weights that are not known here (sha256 {sha256[:12]})"]


def prompt_node(prompt: Prompt) -> LineageNode:
    """A version of a prompt."""
    facts = [f"digest {prompt.digest[:12]}"]
    if prompt.search is not None:
        facts.append("chosen by a search on the validation split")
    return _node("prompt", prompt.label, prompt.label, facts)


def set_node(frozen: TrainingSet, withdrawn: int) -> LineageNode:
    """A training set; `withdrawn` of its rows rest on reviews taken back since."""
    marks = ["simulated"] if frozen.simulated else []
    if withdrawn:
        marks.append(f"{withdrawn} rows withdrawn since")
    if drafted := (frozen.recipe.get("synthetic") or {}).get("rows"):
        marks.append(f"{drafted} rows synthetic")
    facts = (f"{frozen.n_rows} rows", f"digest {frozen.digest[:12]}")
    return _node("set", frozen.name, frozen.name, facts, marks)


def dataset_node(version: DatasetVersion) -> LineageNode:
    """A dataset version."""
    name = f"{version.dataset.name}@{version.number}"
    facts = (f"{version.n_examples} examples", f"digest {version.digest[:12]}")
    return _node("dataset", name, name, facts)


def queue_node(queue: ReviewQueue) -> LineageNode:
    """A review queue."""
    return _node("queue", queue.name, queue.name, (f"{queue.kind} items",))


def person_node(pseudonym: str, simulated: bool) -> LineageNode:
    """A reviewer, by pseudonym."""
    marks = ("simulated",) if simulated else ()
    return _node("person", pseudonym, pseudonym, marks=marks)


def review_node(review: Review, told: Sequence[ReviewOutcome]) -> LineageNode:
    """A review; one with a correction says so when it was never replayed."""
    marks = ["simulated"] if review.simulated else []
    if review.withdrawn_at is not None:
        marks.append(f"withdrawn: {review.withdrawn_reason or 'no reason kept'}")
    facts = ["with a correction" if review.corrections else "without a correction"]
    if review.corrections and not told:
        facts.append("never replayed")
    return _node("review", review.id, f"review {review.id}", facts, marks)


def yield_node(review: Review, one: ReviewOutcome) -> LineageNode:
    """What a review came to on one candidate."""
    outcome = one.outcome
    part = "held back from" if outcome.reviewed.held_back else "trained on in"
    facts = [f"{part} {one.training_set.name}", f"right when {one.rule}"]
    if outcome.reason:
        facts.append(outcome.reason)
    name = f"{review.id}:{one.training_set.id}:{one.candidate.id}"
    marks = ("simulated",) if outcome.reviewed.simulated else ()
    return _node("yield", name, f"{outcome.state} on {one.candidate.label}", facts, marks)


@dataclass(slots=True)
class _Graph:
    session: Session
    nodes: dict[str, LineageNode] = field(default_factory=dict)
    edges: dict[LineageEdge, None] = field(default_factory=dict)
    followed: set[tuple[str, str]] = field(default_factory=set)

    def add(self, node: LineageNode) -> str:
        self.nodes.setdefault(node.key, node)
        return node.key

    def link(self, source: str, target: str, label: str) -> None:
        self.edges.setdefault(LineageEdge(source=source, target=target, label=label))

    def first_time(self, key: str, direction: str) -> bool:
        """Whether this node was not yet followed in this direction."""
        if (key, direction) in self.followed:
            return False
        self.followed.add((key, direction))
        return True


def trace(session: Session, project_id: int, name: str) -> LineageOut:
    """Follow one thing up to its data and down to its verdicts.

    Args:
        name: a model (`v2`, `base:v2@1`, `large:v3`), or KIND:NAME: set:round-1, review:12, run:3,
            dataset:calls@2, prompt:brief@2.

    Raises:
        NotFound: the project has none of that name.
        InvalidInput: no such kind.
    """
    kind, part, rest = name.partition(":")
    bases = {BASE, *(one.name for one in list_bases(session, project_id))}
    if not part or (kind not in _ROOTS and kind in bases):
        kind, rest = "model", name
    if kind not in _ROOTS:
        raise InvalidInput(f"{kind!r} is no kind of thing.", hint=f"Use {', '.join(_ROOTS)}.")
    graph = _Graph(session)
    root = _ROOTS[kind](graph, project_id, rest)
    return LineageOut(root=root, nodes=list(graph.nodes.values()), edges=list(graph.edges))


def _from_model(graph: _Graph, project_id: int, name: str) -> str:
    model = find_model(graph.session, project_id, name, checkers=True)
    _up_model(graph, model)
    return _down_model(graph, model)


def _from_set(graph: _Graph, project_id: int, name: str) -> str:
    frozen = find_training_set(graph.session, project_id, name)
    _up_set(graph, frozen)
    return _down_set(graph, frozen)


def _from_run(graph: _Graph, project_id: int, name: str) -> str:
    run = get_run(graph.session, _number(name), project_id=project_id)
    key = _up_run(graph, run)
    for queue, frozen, label in uses_of_run(graph.session, run.id):
        reviewed = graph.add(queue_node(queue))
        graph.link(key, reviewed, "reviewed in")
        if frozen is not None:
            graph.link(reviewed, _down_set(graph, frozen), label)
    return key


def _from_dataset(graph: _Graph, project_id: int, name: str) -> str:
    version = find_version(graph.session, project_id, name)
    key = graph.add(dataset_node(version))
    for run, frozen in uses_of_version(graph.session, version.id):
        if run is not None:
            graph.link(key, _up_run(graph, run), "answered in")
        if frozen is not None:
            graph.link(key, _down_set(graph, frozen), "trained on")
    return key


def _from_review(graph: _Graph, project_id: int, name: str) -> str:
    review = review_in_project(graph.session, project_id, _number(name))
    if review is None:
        raise NotFound(f"There is no finished review {name} in this project.")
    told = states_of_review(graph.session, review.id)
    key = graph.add(review_node(review, told))
    output, queue = review.item.generation_a, review.item.queue
    graph.link(graph.add(person_node(review.reviewer.pseudonym, review.simulated)), key, "wrote")
    run = graph.session.get_one(GenerationRun, output.run_id)
    reviewed = graph.add(queue_node(queue))
    graph.link(_up_run(graph, run), reviewed, "reviewed in")
    graph.link(reviewed, key, "item of")
    answered = f"answered {output.example.external_id}"
    graph.link(_up_model(graph, output.model_version), key, answered)
    for frozen in sets_with_review(graph.session, review.id):
        graph.link(key, _down_set(graph, frozen), "a row of")
    for one in told:
        replayed_as = graph.add(yield_node(review, one))
        graph.link(key, replayed_as, "replayed")
        graph.link(_down_model(graph, one.candidate), replayed_as, "answered")
    return key


def _from_prompt(graph: _Graph, project_id: int, name: str) -> str:
    prompt = find_prompt(graph.session, project_id, name)
    key = graph.add(prompt_node(prompt))
    for candidate in candidates_with(graph.session, prompt.id):
        _up_model(graph, candidate)
        _down_model(graph, candidate)
    for frozen in list_training_sets(graph.session, project_id):
        if prompt_of_set(frozen).get("digest") == prompt.digest:
            graph.link(key, _down_set(graph, frozen), "rendered")
    return key


_ROOTS: dict[str, Callable[[_Graph, int, str], str]] = {
    "model": _from_model,
    "set": _from_set,
    "review": _from_review,
    "run": _from_run,
    "dataset": _from_dataset,
    "prompt": _from_prompt,
}


def _number(text: str) -> int:
    if (number := row_number(text)) is None:
        raise InvalidInput(f"{text[:40]!r} is no number.")
    return number


def _up_model(graph: _Graph, model: ModelVersion) -> str:
    key = graph.add(model_node(graph.session, model))
    if not graph.first_time(key, "up"):
        return key
    if model.prompt is not None:
        graph.link(graph.add(prompt_node(model.prompt)), key, "asked with")
        graph.link(_up_model(graph, model.without_prompt), key, "with a prompt")
        return key
    if model.base is not None:
        graph.link(_up_model(graph, model.base), key, "base of")
    for parent, how in merged_from(graph.session, model):
        graph.link(_up_model(graph, parent), key, how)
    if model.training_run_id is None:
        return key
    run = graph.session.get_one(TrainingRun, model.training_run_id)
    frozen = graph.session.get_one(TrainingSet, run.training_set_id)
    graph.link(_up_set(graph, frozen), key, f"training run {run.id}")
    if run.start_model_id is not None:
        start = graph.session.get_one(ModelVersion, run.start_model_id)
        graph.link(_up_model(graph, start), key, f"start of training run {run.id}")
    return key


def _up_set(graph: _Graph, frozen: TrainingSet) -> str:
    found = contributions(graph.session, frozen.id)
    key = graph.add(set_node(frozen, sum(part.withdrawn for part in found)))
    if not graph.first_time(key, "up"):
        return key
    for part in found:
        _up_contribution(graph, part, key)
    if recorded := prompt_of_set(frozen):
        label = prompt_label(recorded)
        prompt = find_prompt(graph.session, frozen.project_id, label)
        graph.link(graph.add(prompt_node(prompt)), key, "rendered")
    for version, n in replayed(graph.session, frozen.id):
        graph.link(graph.add(dataset_node(version)), key, f"{n} references")
    return key


def _up_contribution(graph: _Graph, part: Contribution, target: str) -> None:
    """Person -> queue -> set, and above the queue its run."""
    queue = graph.session.get_one(ReviewQueue, part.queue_id)
    person = graph.add(person_node(part.pseudonym, part.simulated))
    key = graph.add(queue_node(queue))
    graph.link(person, key, "reviewed")
    withdrawn = f", {part.withdrawn} withdrawn since" if part.withdrawn else ""
    graph.link(key, target, f"{part.rows} rows {part.source} by {part.pseudonym}{withdrawn}")
    run = graph.session.get_one(GenerationRun, queue.generation_run_id)
    graph.link(_up_run(graph, run), key, "reviewed in")


def _up_run(graph: _Graph, run: GenerationRun) -> str:
    facts = (f"{run.split} split", f"engine {run.engine}")
    key = graph.add(_node("run", run.id, f"run {run.id}", facts))
    if not graph.first_time(key, "up"):
        return key
    version = graph.session.get_one(DatasetVersion, run.dataset_version_id)
    graph.link(graph.add(dataset_node(version)), key, "asked")
    for model in run.models:
        graph.link(_up_model(graph, model), key, "answered")
    if (drafting := drafting_of_run(graph.session, run.id)) is not None:
        graph.link(_up_drafting(graph, drafting), key, "drafts that were kept")
    return key


def _up_drafting(graph: _Graph, drafting: Drafting) -> str:
    """What a model drafted, by whom and from what; of many sources those with the most drafts."""
    facts = (f"drafted by {drafting.model_version.label}", f"from {drafting.source_kind}")
    key = graph.add(_node("drafting", drafting.id, drafting.name, facts, ("synthetic",)))
    if not graph.first_time(key, "up"):
        return key
    graph.link(_up_model(graph, drafting.model_version), key, "drafted")
    sources = sources_of_drafting(graph.session, drafting)
    for name, n in sources[:SHOWN_SOURCES]:
        source = graph.add(_node("source", f"{drafting.id}:{name}", name))
        graph.link(source, key, f"{n} drafts")
    if (rest := len(sources) - SHOWN_SOURCES) > 0:
        more = graph.add(_node("source", f"{drafting.id}:rest", f"{rest} more sources"))
        graph.link(more, key, f"{sum(n for _, n in sources[SHOWN_SOURCES:])} drafts")
    return key


def _down_set(graph: _Graph, frozen: TrainingSet) -> str:
    withdrawn = sum(part.withdrawn for part in contributions(graph.session, frozen.id))
    key = graph.add(set_node(frozen, withdrawn))
    if not graph.first_time(key, "down"):
        return key
    for model, run_id in adapters_of_set(graph.session, frozen.id):
        graph.link(key, _down_model(graph, model), f"training run {run_id}")
    return key


def _down_model(graph: _Graph, model: ModelVersion) -> str:
    key = graph.add(model_node(graph.session, model))
    if not graph.first_time(key, "down"):
        return key
    for comparison, promotion in uses_of_model(graph.session, model.id):
        title = f"{comparison.verdict} ({comparison.created_at:%Y-%m-%d})"
        facts = [f"{line['title']}: {line['verdict']}" for line in comparison.lines]
        verdict = graph.add(_node("verdict", comparison.id, title, facts))
        graph.link(key, verdict, "judged by")
        if promotion is not None:
            marks = ("simulated",) if promotion.simulated else ()
            title = f"{promotion.alias}: {promotion.action}"
            node = _node("promotion", promotion.id, title, (promotion.reason,), marks)
            graph.link(verdict, graph.add(node), promotion.action)
    for candidate in candidates_of(graph.session, model.id):
        if candidate.prompt is not None:
            asked_with = graph.add(prompt_node(candidate.prompt))
            graph.link(asked_with, _down_model(graph, candidate), "asked with")
        graph.link(key, _down_model(graph, candidate), "with a prompt")
    for further in models_started_from(graph.session, model.id):
        label = f"start of training run {further.training_run_id}"
        graph.link(key, _down_model(graph, further), label)
    for adapter in adapters_on(graph.session, model.id):
        graph.link(key, _down_model(graph, adapter), "base of")
    for merged, how in merges_of(graph.session, model):
        graph.link(key, _down_model(graph, merged), how)
    return key
