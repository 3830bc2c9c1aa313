"""Builds an atlas out of a manifest: source, encode, neighbors, project, cluster, publish."""
