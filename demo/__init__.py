"""The demo network: its training, its file and the images it is tested with."""
