"""How a message gets there: outbox, worker, tracking, and the judgement of what comes back."""
