"""Real servers on loopback: DNS, sshd, a mail listener, git remotes, ops repositories (see docs/development.md)."""
