"""The listeners: sockets on which the daemon classifies mail for other programs."""
