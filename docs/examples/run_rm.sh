#!/bin/sh
# A reward model over the run of run_sft.sh, on pairs derived from labelled reviews: approving above disapproving.
set -eu
train data check data/reviews/pairs.jsonl --stage rm --tokenizer data/tokenizer/zh7k
train config=pipeline-tiny pipeline=pt,sft,rm out=data/runs/example ${SMALL:-}
