"""IMAP accounts: one thread for each account, which files its new mail and learns from what its user moves."""
