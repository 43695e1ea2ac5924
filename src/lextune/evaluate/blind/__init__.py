"""Blind review: people compare two answers without knowing whose they are.

A session is a folder. `items.jsonl` holds the pairs of answers, `key.json` which arm each answer is of and where it
stands for each rater, `choices.jsonl` every choice as it was made. Only `results` and `export` join the three; what
raters are shown is made of a `Card`, which knows neither arms nor order.
"""
