"""What a scheduler asks for, and what a computer has."""
