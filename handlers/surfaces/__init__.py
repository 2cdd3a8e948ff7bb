"""Views of what changes by itself: each file exposes SURFACE, which loads current state and draws it."""
