"""What is said of a center that was found from blobs."""

import logging
from collections.abc import Callable, Sequence

__all__ = ["MAX_SD", "state_center"]

logger = logging.getLogger(__name__)

# A center of a larger standard uncertainty (px) is not trusted.
MAX_SD = 0.5


def state_center(doubts: Sequence[str], statement: str) -> str:
    """Say what was found, or why it cannot be trusted; also to the log."""
    if doubts:
        statement = "The center cannot be trusted: " + "; ".join(doubts) + "."
    say: Callable[..., None] = logger.warning if doubts else logger.info
    say("%s", statement)
    return statement
