"""The wizard, and going live."""
