"""How many connections this process may have open."""

from __future__ import annotations

import sys

_OTHERS = 256
"""Files that the rest of the program has open."""


def room_for(connections: int) -> int:
    """Ask the operating system for as many connections, each with one that idles; how many there may be."""
    if sys.platform == "win32":
        return connections
    import resource

    needed = 2 * connections + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(1, min(connections, (soft - _OTHERS) // 2))
    return connections
