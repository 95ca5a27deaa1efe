"""What a design can tell of its inside while it runs on a board; in no design that does not ask for it."""
