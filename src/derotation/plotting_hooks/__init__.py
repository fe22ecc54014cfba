"""Hooks that show how a derotated frame comes about."""
