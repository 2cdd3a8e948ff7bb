"""The speed claims, as programs that print ratios: `python -m benchmarks [NAME ...] [--json]`."""
