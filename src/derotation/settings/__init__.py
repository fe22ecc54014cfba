"""The one source of settings: schemas with each key's type, range, unit, default and sentence."""
