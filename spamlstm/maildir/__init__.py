"""Maildirs: file names, folders, descriptors, headers, and the transfer of messages."""
