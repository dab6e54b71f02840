"""What could be done: the catalogue of actions, past contacts and candidates."""
