"""The methods: convert the parameters, call the operation, encode the result."""
