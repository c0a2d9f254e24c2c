"""A message to the text and the facts that the model reads."""
