"""Readers of labelled and unlabelled mail in archives, folders, Maildirs and mboxes."""
