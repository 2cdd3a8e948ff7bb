"""The terminal twins of Slack's read-only commands."""
