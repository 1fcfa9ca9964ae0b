"""Tests of the stage roll."""
