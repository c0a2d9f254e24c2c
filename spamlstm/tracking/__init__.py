"""Tracking of messages between folders: labels (ham or spam) are inferred from what users do with their mail."""
