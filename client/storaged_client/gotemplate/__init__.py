"""Go's ``text/template`` for Python, with the functions and tables that podman's ``--format`` adds.

``report.compile`` reads a template, ``values`` and ``times`` have what a row may hold besides plain JSON. The package
imports nothing of the rest of the client, and nothing itself here: the CLI takes ``tabwriter`` alone at its start.
"""
