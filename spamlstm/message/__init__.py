"""Parsing of raw mail to a message: MIME, HTML, charsets. No input raises an exception."""
