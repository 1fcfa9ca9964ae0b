"""The whole loop: the real command line against real git, sops, name servers, ssh servers and listeners."""
