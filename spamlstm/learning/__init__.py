"""Learning from labels: the label store, the trainer of the personal layer, adoption, and retraining."""
