"""`ispbot setup` and `ispbot golive`: a deployment that sends to its owner alone, and then to everybody."""
