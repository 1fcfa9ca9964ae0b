"""What people and programs read: one view-model for each report, and renderers that only read it."""
