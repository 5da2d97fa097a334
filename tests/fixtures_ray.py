"""A Ray cluster of two nodes with a processor each, on this machine, for a module's tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.executors.ray import RayExecutor
from backend.executors.ray_session import QUIET

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
OF_TESTS = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_RAYLET_START_WAIT_TIME_S": "400",
    "RAY_worker_niceness": "0",  # by itself Ray lets its workers stand back (15) behind all others
}


@dataclass(slots=True)
class TwoNodes:
    """The head, where the tests are, another node, and an executor on both."""

    cluster: Any
    other: Any
    executor: RayExecutor

    def kill_other(self) -> None:
        """As when its machine loses power."""
        self.cluster.remove_node(self.other, allow_graceful=False)
        self.other = None

    def start_other(self) -> None:
        """Have a second node again, where it was killed."""
        if self.other is None:
            self.other = self.cluster.add_node(**NODE)


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    """Started once for a module."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**QUIET, **OF_TESTS}.items():
            patch.setenv(name, value)
        pytest.importorskip("ray")
        from ray.cluster_utils import Cluster

        lean = {"include_dashboard": False, "include_log_monitor": False}
        cluster = Cluster(initialize_head=True, head_node_args={**NODE, **lean, "no_monitor": True})
        executor = RayExecutor(cluster.address, home=_home(tmp_path_factory))
        try:
            other = cluster.add_node(**NODE)
            yield TwoNodes(cluster, other, executor)
        finally:
            executor.close()
            cluster.shutdown()


def _home(folders: pytest.TempPathFactory) -> Path:
    return folders.mktemp("home")
