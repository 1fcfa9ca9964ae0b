"""The throw-away world, its small servers, and the whole story."""
