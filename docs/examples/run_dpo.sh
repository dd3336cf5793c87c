#!/bin/sh
# Direct preference optimisation of the run of run_sft.sh, on the pairs that run_rm.sh learns from.
set -eu
train config=pipeline-tiny pipeline=pt,sft,dpo out=data/runs/example ${SMALL:-}
