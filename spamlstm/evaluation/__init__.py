"""Evaluation of models: metrics, protocols and reports."""
