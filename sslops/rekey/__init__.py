"""Recipients of `.sops.yaml` changed: keys are wrapped anew, and who left is told apart from who can read."""
