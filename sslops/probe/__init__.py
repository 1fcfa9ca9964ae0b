"""Questions to the world: DNS, TLS, STARTTLS dialogues; values out, no decisions."""
