"""Analytic scenes with exact depth, novel views and thin-lens photographs."""
