"""Labelled and unlabelled mail from archives, folders, Maildirs and mboxes."""
