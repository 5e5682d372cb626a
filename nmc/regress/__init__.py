"""Hardware regression: suites of networks and targets, their baselines, and what moved since."""
