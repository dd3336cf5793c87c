#!/usr/bin/env bash
# One training run on the nodes of a hostfile, by ssh: docs/examples/multinode.sh docs/examples/hostfile out=/shared/runs/zh config=my.yaml …
# Every node needs the same virtual environment, and sees the same data= and out= folders (NFS, Lustre …).
set -euo pipefail
hostfile=$1
shift
words=$(printf ' %q' "$@")
mapfile -t nodes < <(grep -v -e '^#' -e '^$' "$hostfile" | cut -d' ' -f1)
slots=$(grep -v -e '^#' -e '^$' "$hostfile" | sed -n 's/.*slots=\([0-9]*\).*/\1/p' | head -n1)
for rank in "${!nodes[@]}"; do
  launch="torchrun --nnodes ${#nodes[@]} --node-rank $rank --nproc-per-node $slots --master-addr ${nodes[0]} --master-port 29500 -m train$words"
  ssh "${nodes[$rank]}" "cd $(printf %q "$PWD") && source .venv/bin/activate && $launch" &
done
status=0
for job in $(jobs -p); do wait "$job" || status=$?; done
exit "$status"
