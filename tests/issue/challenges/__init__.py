"""Tests of the ways to prove names."""
