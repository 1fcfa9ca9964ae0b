"""sops, its recipients, age identities, and the ssh keys of a job."""
