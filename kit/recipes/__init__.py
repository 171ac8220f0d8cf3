"""The settings of one training and of several."""
