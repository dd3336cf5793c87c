"""Instruction, dialogue and preference data in the forms people have it, read without conversion."""
