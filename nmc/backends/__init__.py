"""One folder a target, named by one line in `registry.py`."""
