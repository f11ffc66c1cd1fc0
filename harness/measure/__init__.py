"""What a network costs: one file per quantity."""
