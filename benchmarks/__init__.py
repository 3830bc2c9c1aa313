"""Measures what the project promises of speed and size, each against a peer or a bound taken in the same run."""

import os

# As the command line has it, before torch is imported: threads that spin while they wait take the workers' cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
