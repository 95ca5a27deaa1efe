"""Circuits in Amaranth: stream units, their memories, the link, and the whole network."""
