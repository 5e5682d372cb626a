"""FPGA: an event-driven core a population, in SystemVerilog whose every cycle is known."""
