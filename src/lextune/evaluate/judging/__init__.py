"""A judge: a language model that compares two answers, or marks one by a rubric.

A judge is a measuring instrument with known faults, and each is measured with it. It prefers a place, so every pair is
asked in both orders, and how far the place decided is printed. It writes what cannot be read, so that is counted. It
may not see what lawyers see, so `agreement` compares it with the marks of the user's own experts.
"""
