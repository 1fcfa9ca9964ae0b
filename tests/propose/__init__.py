"""Tests of sslops.propose."""
