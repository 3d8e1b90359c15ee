"""``storagectl``: one file per command; ``commands`` is their table, ``main`` runs one.

Start-up is most of a command's time. So functions import what not every run needs.
"""
