"""Tests of what CI tells a job, and of how a job speaks."""
