"""What `verify` demands of a graph: of each operation, of the structure, of integers, of the placement."""
