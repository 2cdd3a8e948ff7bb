"""The record of notices that a lawyer reads: what was sent to whom and what became of it (docs/proof.md)."""
