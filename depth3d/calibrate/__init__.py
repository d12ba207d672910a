"""Relative depth to metres."""
