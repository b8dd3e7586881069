"""Trackers side by side: how each is started, what is asked of it, and what comes of it."""
