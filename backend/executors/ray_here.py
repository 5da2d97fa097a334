"""A Ray of this machine's processors, which lives until its standard input closes.

    python -m backend.executors.ray_here PROCESSORS

Prints the address of its head. What Ray keeps on disk (its logs, and objects that memory does not
hold) lies in a folder that only its owner reads and that goes with it.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

OBJECT_STORE_BYTES = 200 * 2**20  # chunks are small and few are on their way


def main() -> None:
    """Hold a Ray as long as somebody holds the other end of our standard input."""
    import ray

    logging.disable()
    with TemporaryDirectory(prefix="strop-ray-", ignore_cleanup_errors=True) as folder:
        context = ray.init(
            num_cpus=int(sys.argv[1]),
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            configure_logging=False,
            _temp_dir=str(Path(folder) / "s"),  # Ray opens it to everybody
        )
        print(context["gcs_address"], flush=True)
        sys.stdin.read()
        ray.shutdown()


if __name__ == "__main__":
    main()
