"""A Ray cluster of two nodes with a processor each, on this machine, for a module's tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.executors.ray import RayExecutor
from backend.executors.ray_session import QUIET

STORE = 80 * 2**20


@dataclass(slots=True)
class TwoNodes:
    """The head, where the tests are, another node, and an executor on both."""

    cluster: Any
    other: Any
    executor: RayExecutor

    def kill_other(self) -> None:
        """As when its machine loses power."""
        self.cluster.remove_node(self.other, allow_graceful=False)


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    """Started once for a module; `kill_other` leaves the head alone to the tests that follow."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**QUIET, "RAY_AUTH_MODE": "disabled"}.items():
            patch.setenv(name, value)
        pytest.importorskip("ray")
        from ray.cluster_utils import Cluster

        lean = {"include_dashboard": False, "include_log_monitor": False}
        node = {"num_cpus": 1, "object_store_memory": STORE}
        cluster = Cluster(initialize_head=True, head_node_args={**node, **lean, "no_monitor": True})
        executor = RayExecutor(cluster.address, home=_home(tmp_path_factory))
        try:
            other = cluster.add_node(**node)
            yield TwoNodes(cluster, other, executor)
        finally:
            executor.close()
            cluster.shutdown()


def _home(folders: pytest.TempPathFactory) -> Path:
    return folders.mktemp("home")
