"""Programs as the two papers cut them."""

from eval.extract import code


def test_humaneval_ends_where_another_statement_begins():
    prompt = "def f(x):\n"
    body = "    # a comment inside\n    if x:\n        print(x)\n    return 1"
    for stop in ("\nclass A: pass", "\ndef g(): pass", "\n# next", "\nif __name__ == '__main__':", "\nprint(f(1))"):
        assert code.humaneval(prompt, f"{body}\n{stop}\nmore") == f"{prompt}{body}\n"
    assert code.humaneval(prompt, body) == prompt + body
    assert code.humaneval(prompt, "") == prompt
    assert code.humaneval(prompt, f"{body}\nprint(1)\nclass B: pass") == prompt + body  # the first, not the first named


def test_mbpp_stands_between_its_marks():
    assert code.mbpp("def f():\r\n  return 1\n[DONE]\nmore [DONE]") == "def f():\r\n  return 1"
    assert code.mbpp("[BEGIN]\ndef f(): pass\n[DONE]") == "def f(): pass"
    assert code.mbpp("def f(): pass") == "def f(): pass"
    assert code.mbpp("[DONE]") == ""
