"""The models that judge text, made by their users: ``corpus lm`` (n-grams), ``corpus classifier`` (fastText)."""
