"""How good a model is: metrics, protocols, reports."""
