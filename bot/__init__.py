"""The rim: the only place that builds things, and the only one that knows Bolt."""
