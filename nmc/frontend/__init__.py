"""A user's file becomes a graph."""
