"""The places that leads are delivered to: one module each, found by its name, imported only if enabled."""
