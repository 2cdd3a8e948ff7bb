"""App Home: what needs attention now."""
