"""Programs for the soft processor: bare-metal C, its compiler, and what it must know of the network."""
