"""A many-core like SpiNNaker2: a program and a memory image for each PE, and the tables that route between them."""
