"""The machine: processes, files, the clock, ssh, and the effects on the world that are counted."""
