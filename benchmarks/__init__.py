"""Measures what the project promises of speed and size, each against a peer or a bound taken in the same run."""
