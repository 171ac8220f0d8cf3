"""Augmentation, schedules, fit, resume, devices, inference: takes a `Dataset` and a `Recipe`, leaves a run."""
