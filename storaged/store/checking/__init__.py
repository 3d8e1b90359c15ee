"""The read-only integrity check: records against records, records against files, files against their contents.

The check writes, locks and mounts nothing and follows no link out of the store; it leaves no trace but access times.
``walk.walk`` goes through a store step by step; ``findings`` lists everything it can find.
"""
