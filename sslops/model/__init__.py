"""The dictionary: every noun of sslops as a frozen value, standard library only."""
