"""What an operator asks for, each a function that takes what it needs."""
