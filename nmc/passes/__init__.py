"""Graph to graph: one file, one pure function, one test file each."""
