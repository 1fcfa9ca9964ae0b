"""Beliefs about forges, tried against any real one."""
