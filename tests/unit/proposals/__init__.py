"""Tests of sslops.proposals."""
