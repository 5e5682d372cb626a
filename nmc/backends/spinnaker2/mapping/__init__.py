"""From a graph to the many-core: which neurons on which PE, which keys they send, which tables route them."""
