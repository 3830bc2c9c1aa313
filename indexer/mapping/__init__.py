"""One space of an atlas: unit vectors, neighbors, a map, clusters and their names."""
