"""What a scheduler asks for."""
