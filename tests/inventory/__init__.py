"""Tests of sslops.inventory and of the verbs that only look at it."""
