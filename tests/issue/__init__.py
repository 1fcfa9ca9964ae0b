"""Tests of sslops.issue."""
