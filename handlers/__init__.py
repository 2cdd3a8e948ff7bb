"""What people can do: commands, the use cases behind them, and what they get to see."""
