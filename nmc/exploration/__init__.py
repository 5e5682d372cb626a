"""Many compiles of one model: whether it fits each target, and what accuracy costs on one."""
