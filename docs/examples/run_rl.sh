#!/bin/sh
# Reinforcement (PPO) of the run of run_sft.sh, scored by the reward model of run_rm.sh. Another rule is a setting:
# SMALL="ppo.reward=rule:length:20".
set -eu
train config=pipeline-tiny pipeline=pt,sft,rm,ppo out=data/runs/example ${SMALL:-}
