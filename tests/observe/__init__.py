"""Tests of sslops.observe."""
