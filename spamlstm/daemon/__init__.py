"""What always runs: the loop, watching, sockets, status."""
