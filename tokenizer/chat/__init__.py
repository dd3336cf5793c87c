"""Conversations as text and ids: chat templates, and which tokens bear loss."""
