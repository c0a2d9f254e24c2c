"""Bytes to a message: MIME, HTML, charsets. It never raises on mail."""
