"""``storagectl``: one file a command; ``commands`` is the table of them, ``main`` runs one.

Start-up is most of a command's time. So imports that not every run needs stand in the functions that need them.
"""
