"""gatekeeper with a fault in its routing: the version that joins gets FACTOR times the points its weight asks for.

    python -m benchmarks.releases.misrouting serve FACTOR FILE

What decides says that it used the weight, and what is recorded says so, too; only users are where they should not be.
No setting brings this about. It stands for all that can go wrong between a weight and where users are.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from gatekeeper import app
from gatekeeper.control import gate
from gatekeeper.core import service
from gatekeeper.core.split import SPACE, bounds
from gatekeeper.dataplane import worker

FACTOR = "GATEKEEPER_BENCHMARK_MISROUTING"
Bounds = Callable[[Any], tuple[list[int], list[str]]]


def widened(right: Bounds, factor: float) -> Bounds:
    """The bounds with the second version's part that much wider; two versions in two parts are all it knows."""

    def wrong(split: Any) -> tuple[list[int], list[str]]:
        uppers, owners = right(split)
        if len(owners) != 2:
            return uppers, owners
        small = owners.index("green")
        size = uppers[0] if small == 0 else SPACE - uppers[0]
        size = min(SPACE - 1, int(size * factor))
        return [size if small == 0 else SPACE - size, SPACE], owners

    return wrong


def main() -> int:
    if sys.argv[1] == "serve":
        os.environ[FACTOR] = sys.argv[2]
        command = (sys.executable, "-P", "-m", "benchmarks.releases.misrouting")
        setattr(gate, "worker_command", lambda _path: command)  # noqa: B010 - to mypy it is not the module's to give
        return app.serve(sys.argv[3])
    setattr(service, "bounds", widened(bounds, float(os.environ[FACTOR])))  # noqa: B010
    worker.main(sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
