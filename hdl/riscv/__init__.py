"""A soft processor beside the network."""
