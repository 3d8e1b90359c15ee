"""The method table bound to the operations: structure the parameters, call, encode the result."""
