"""What pictures, and their comparison, tell."""
