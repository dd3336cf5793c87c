"""What a run leaves and a person looks at: metrics.jsonl, curves, the summary and card, its spikes; and supervision."""
