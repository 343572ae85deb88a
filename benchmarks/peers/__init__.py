"""What mammosweep is compared with: each file does by other means what the engine does, as well as it can."""
