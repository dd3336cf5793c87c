"""Two verbs: map a function over shards, and bring equal keys together. Nothing else knows where the work runs."""
