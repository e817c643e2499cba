"""soak: the checker: publishers and subscribers at every door, faults on purpose, and a judge that compares."""
