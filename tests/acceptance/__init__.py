"""Commands with a seed and a scale that show what the documents claim, mostly beside real tools; ``show`` runs all."""
