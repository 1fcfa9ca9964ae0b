"""The tests: one folder for each package of sslops, and `world/`, the servers they run against."""
