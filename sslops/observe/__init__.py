"""What DNS, TLS, hosts and certificates show, as values."""
