"""Use cases that several entries share."""
