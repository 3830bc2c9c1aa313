"""Holds what the app says of nearness against the embedded default, whose generator is known to have seen or not."""

import os

# As the command line has it, before torch is imported: threads that spin while they wait take other processes' cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
