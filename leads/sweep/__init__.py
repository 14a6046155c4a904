"""What a crash or a lost message left undone, the alerts about trouble, the digest and the purge."""
