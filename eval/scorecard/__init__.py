"""The scorecard: how a team chooses its base model, and a page on which it can argue about the choice.

    card.py    what a scorecard is: criteria, families, candidates, eliminations, typed scores, classes
    read.py    a YAML file of that form, checked whole
    judge.py   totals, ranking and winner by class, what --check warns of
    figures.py what the published table says of the typed scores and of an elimination's claim
    report.py  the judgement as JSON and on a terminal
    page.py    the judgement as one HTML page

The program adds, sorts and compares; it never changes a typed score. Cost: 80 ms for the shipped file.
"""
