"""Training: one discipline for every stage (exact resume, atomic checkpoints, a meter), a file a stage."""
