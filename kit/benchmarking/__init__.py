"""Trainings measured side by side: which recipes, one training in a process of its own, tables and files."""
