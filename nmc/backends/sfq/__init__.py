"""SFQ: a spike is one flux quantum; networks of integers as netlists of superconducting cells."""
