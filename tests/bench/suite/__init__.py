"""suite: what tests/bench/run is made of: systems, load, measures (and durability, slow), rows, report."""
