"""Models behind one protocol each: torch, diffusers and open_clip are imported in this package alone, and lazily."""
