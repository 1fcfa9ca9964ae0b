"""Recipients of `.sops.yaml` changed: keys are wrapped anew, and who left is not the same as who can read."""
