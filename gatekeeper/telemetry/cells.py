"""What is counted of requests by the variant of a flag that they had: a row of whole numbers, the same on both ends."""

from typing import Final

from gatekeeper.telemetry.block import BUCKET_COUNT

CLASSES: Final = 6
"""Answers by class of their status: first any outside 1xx to 5xx, then 1xx, ... 5xx."""
FORCED: Final = CLASSES
"""Requests of testers: evaluated, and not counted further."""
ASKED: Final = FORCED + 1
"""Evaluations that no request was forwarded for: applications asked."""
TIMES: Final = ASKED + 1
"""Times until a request was answered, by ``block.BUCKETS``."""
MICROSECONDS: Final = TIMES + BUCKET_COUNT
"""Their sum."""
CELLS: Final = MICROSECONDS + 1

Name = tuple[str, str, str]
"""(service, flag, variant). The service is empty for what no service was asked for."""
