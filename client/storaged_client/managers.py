"""The nouns of both clients, ``Images``, ``AsyncImages`` and so on: a verb for each row of the method table.

A verb that reads takes ``if_generation``, and returns ``Unchanged`` if that is still current. One that may take long
takes ``progress``, a function that is called with each ``Progress`` from the daemon.

``managers.pyi`` has the same with all types written out; ``python -m from_code.stubs`` in docs/ generates it.
"""

from __future__ import annotations

from .contract.methods import METHODS
from .verbs import Manager, Verb

for _noun in dict.fromkeys(row.noun for row in METHODS.values()):
    _verbs = {row.verb: Verb(row) for row in METHODS.values() if row.noun == _noun}
    _name = _noun.capitalize()
    _blocking = type(_name, (Manager,), {**_verbs, "__module__": __name__, "__doc__": f"``{_noun}`` of a client."})
    _awaited = {"__module__": __name__, "__doc__": "The same, awaited."}
    globals().update({_name: _blocking, f"Async{_name}": type(f"Async{_name}", (_blocking,), _awaited)})
