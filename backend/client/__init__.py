"""The typed HTTP client of Strop; the dashboard, notebooks and scripts speak to the server by it.

    with StropClient("http://127.0.0.1:8500", token="strop_...") as strop:
        for run in strop.runs.list(project_id=1).items:
            print(run.id, run.progress.done)

One resource a stage. A method answers with the shapes of backend.schemas and raises the errors of
backend.errors, as if the service had been called here. How a request travels is in
backend.client.wire.
"""

from __future__ import annotations

from typing import Any

from backend.client.accounts import Accounts
from backend.client.audit import Audit
from backend.client.checks import Checks, Judges, Risks
from backend.client.costs import Costs
from backend.client.curation import Curation
from backend.client.datasets import Datasets
from backend.client.erasure import Erasures
from backend.client.exchange import Exchange
from backend.client.fairness import Fairness
from backend.client.lineage import Lineage
from backend.client.masking import Masking
from backend.client.models import Models
from backend.client.projects import Projects
from backend.client.prompts import Prompts
from backend.client.queue import Jobs
from backend.client.review import Desk, Quality, Queues, Rubrics
from backend.client.rounds import Rounds
from backend.client.runs import Runs
from backend.client.synthetic import Synthetic
from backend.client.training import Training
from backend.client.verdicts import Verdicts
from backend.client.webhooks import Webhooks
from backend.client.wire import Wire, sign_in
from backend.client.yields import Yields

__all__ = ["StropClient", "sign_in"]


class StropClient(Wire):
    """A person's or a program's way to a Strop server; see `Wire` for its arguments and errors."""

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__(base_url, **options)
        self.accounts = Accounts(self)
        self.projects = Projects(self)
        self.jobs = Jobs(self)
        self.datasets = Datasets(self)
        self.masking = Masking(self)
        self.prompts = Prompts(self)
        self.models = Models(self)
        self.runs = Runs(self)
        self.checks = Checks(self)
        self.judges = Judges(self)
        self.curation = Curation(self)
        self.synthetic = Synthetic(self)
        self.training = Training(self)
        self.risks = Risks(self)
        self.fairness = Fairness(self)
        self.verdicts = Verdicts(self)
        self.desk = Desk(self)
        self.queues = Queues(self)
        self.quality = Quality(self)
        self.rubrics = Rubrics(self)
        self.exchange = Exchange(self)
        self.webhooks = Webhooks(self)
        self.rounds = Rounds(self)
        self.yields = Yields(self)
        self.costs = Costs(self)
        self.lineage = Lineage(self)
        self.audit = Audit(self)
        self.erasures = Erasures(self)
