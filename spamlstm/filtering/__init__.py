"""Filtering: new messages of an inbox are classified, tagged and filed, and each change is journaled."""
