"""What an answer is, read out of generated text: a file a kind of benchmark, no dependency, under 10 µs a text.

``maths.math_verify`` alone needs a package, and 1–50 ms. Nothing here guesses: where no answer stands, None is returned
and the item is wrong.
"""
