"""Conversion of a message to the text and the facts that the model reads."""
