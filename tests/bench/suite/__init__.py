"""suite: what tests/bench/run is made of: systems, measures, rows, report."""
