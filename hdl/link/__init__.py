"""Links to a host: the serial line, and the packing of beats into bytes."""
