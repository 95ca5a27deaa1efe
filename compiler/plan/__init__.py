"""Engine choice, folding search, buffer sizes and cost: graph to plan."""
