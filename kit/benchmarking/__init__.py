"""Trainings timed side by side."""
