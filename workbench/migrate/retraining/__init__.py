"""What retraining consists of: a recipe, prepared rows, networks, training, and the way back to one torch module."""
