"""How good a run's out-of-fold probabilities are: its numbers and its report."""
