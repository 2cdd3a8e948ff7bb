"""The read-only commands without Slack: `ispbot find`, `diagnose`, `messages` and their like."""
