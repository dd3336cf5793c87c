#!/bin/sh
# Supervised fine-tuning of the run of run_pt.sh, on questions derived from labelled reviews (make_pairs.py says how).
set -eu
here=$(dirname "$0")
[ -f data/reviews/instructions.jsonl ] || "${PYTHON:-python3}" "$here/make_pairs.py" data/reviews
train data check data/reviews/instructions.jsonl --stage sft --tokenizer data/tokenizer/zh7k
train config=pipeline-tiny pipeline=pt,sft out=data/runs/example ${SMALL:-}
