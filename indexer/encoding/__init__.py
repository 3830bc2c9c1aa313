"""Pictures to vectors: read and decoded ahead in worker processes, through the models batch after batch."""
