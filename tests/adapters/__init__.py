"""Tests of sslops.adapters."""
