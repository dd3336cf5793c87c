"""Vocabulary and tokens: extend a SentencePiece model, export it for every loader, pack a corpus into token shards."""
