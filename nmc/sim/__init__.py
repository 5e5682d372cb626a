"""What a network does: the golden simulator and the comparison of simulators."""
