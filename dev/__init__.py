"""What development needs and Azure never sees: the local host, the storage emulator, stand-ins, `make run`."""
