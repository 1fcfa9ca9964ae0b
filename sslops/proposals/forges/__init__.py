"""One module per forge, and the registry that names them."""
