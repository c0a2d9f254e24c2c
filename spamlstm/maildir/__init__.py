"""Maildirs: names, folders, opened by descriptors, and the one way in which a message is moved."""
