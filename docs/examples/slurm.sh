#!/usr/bin/env bash
#SBATCH --job-name=yanmo
#SBATCH --nodes=20
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --time=7-00:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
#SBATCH --output=%x-%j.log
# sbatch docs/examples/slurm.sh out=/shared/runs/zh config=ziya-13b data=… tokenizer=… parallel=fsdp2
# SIGTERM, five minutes before the end, saves after the step that is being done; submitted again, it goes on from there.
set -euo pipefail
source .venv/bin/activate
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n1)
export OMP_NUM_THREADS=8
exec srun --kill-on-bad-exit=1 torchrun --nnodes "$SLURM_NNODES" --nproc-per-node 8 \
  --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$head:29500" -m train "$@"
