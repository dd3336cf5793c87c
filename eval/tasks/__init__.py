"""The benchmarks that ``evaluate run`` knows, a file each (two that differ in a split or a verdict share one)."""

from __future__ import annotations

from eval.tasks import bbh, ceval, cmmlu, code, gsm8k, maths, medical, mmlu
from eval.tasks.base import Task
from workbench.command import did_you_mean
from workbench.errors import ConfigError

TASKS: dict[str, Task] = {
    task.id: task
    for task in (
        mmlu.TASK,
        ceval.TASK,
        gsm8k.TASK,
        maths.TASK,
        maths.MATH500,
        code.HUMANEVAL,
        code.MBPP,
        bbh.TASK,
        cmmlu.TASK,
        medical.TASK,
    )
}
ALL = "all"  # the eight and medical; MATH-500 where MATH itself is not


def find_tasks(names: str) -> list[Task]:
    """Return the tasks of a comma-separated list, each once.

    Raises:
        ConfigError: If one is not known.
    """
    found: dict[str, Task] = {}
    for name in (part.strip().lower().replace("-", "") for part in names.split(",") if part.strip()):
        if name == ALL:
            found |= {task.id: task for task in TASKS.values() if task.id != "math500"}
        elif name in TASKS:
            found[name] = TASKS[name]
        else:
            raise ConfigError("--tasks", f"{name} is not known", did_you_mean(name, [*TASKS, ALL]))
    if not found:
        raise ConfigError("--tasks", "names none", f"choose from: {', '.join(TASKS)}, {ALL}")
    return list(found.values())
