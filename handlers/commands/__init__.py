"""One folder a command: command.py exposes COMMAND (spec, answer, run), view.py draws it (pure)."""
