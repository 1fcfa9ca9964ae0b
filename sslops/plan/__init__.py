"""What can be done now, what waits, and which hazards stand in the way: pure, over all stages."""
