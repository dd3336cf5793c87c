"""A build that is killed, over and over, ends as if it had never been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench import manifest

from .made import mixed, write_wudao
from .test_build import digests


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_loses_nothing(tmp_path: Path, workers: int) -> None:
    src = write_wudao(tmp_path / "src", mixed(3000), per_part=500)

    def command(out: Path) -> list[str]:
        words = ["--src", f"wudao={src}", "--out", str(out), "--workers", str(workers)]
        return [sys.executable, "-m", "corpus", "build", *words]

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)
    out = tmp_path / "killed"
    kills = 0
    for seconds in (2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0):
        process = subprocess.Popen(
            command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(seconds)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    done = subprocess.run(command(out), check=True, capture_output=True, text=True)
    assert kills >= 2
    assert digests(out) == digests(tmp_path / "whole")
    made = [manifest.read(tmp_path / name, "corpus", "") for name in ("whole", "killed")]
    assert made[0].fingerprint == made[1].fingerprint
    assert [{k: v for k, v in step.items() if k != "cpu_seconds"} for step in made[0].steps] == [
        {k: v for k, v in step.items() if k != "cpu_seconds"} for step in made[1].steps
    ]
    assert "records" in done.stdout
