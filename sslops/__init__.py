"""Certificates as reviewed commits: renew, wait, roll, deploy; DANE never breaks."""

__version__ = "0.1.0"
