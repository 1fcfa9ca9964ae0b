"""Keys, CSRs, the own CA, certificate facts and checks, lifetimes."""
