"""Programs out of completions: where HumanEval's and MBPP's papers stop reading.

HumanEval (Chen et al. 2021, arXiv 2107.03374, section 3.2): the function ends where another top-level statement begins.
MBPP (Austin et al. 2021, arXiv 2108.07732): the code stands between ``[BEGIN]`` and ``[DONE]``.
"""

from __future__ import annotations

HUMANEVAL_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
MBPP_STOPS = ("[DONE]",)


def humaneval(prompt: str, completion: str) -> str:
    """Return the program: the prompt and the completion up to the first stop.

    Args:
        prompt: The item's prompt: imports, signature, docstring.
        completion: What the model wrote after it.
    """
    ends = [at for at in map(completion.find, HUMANEVAL_STOPS) if at >= 0]
    return prompt + completion[: min(ends, default=len(completion))]


def mbpp(completion: str) -> str:
    """Return the program: what stands before ``[DONE]``, and after ``[BEGIN]`` where the model repeats that."""
    code = completion.partition("[DONE]")[0]
    return (code.rpartition("[BEGIN]")[2] if "[BEGIN]" in code else code).strip("\r\n")
