"""The read-only integrity check: records against records, records against files, files against what they hold.

Nothing is written, locked, mounted or followed out of the store: the check leaves no trace but access times.
``walk.walk`` goes through a store unit by unit; ``findings`` lists all that can be found.
"""
