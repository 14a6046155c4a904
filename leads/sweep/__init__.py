"""What a crash or a lost message left undone, and what people are told of trouble."""
