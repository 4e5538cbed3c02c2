"""Reshapes of exported graphs as the functions that ATB asks for."""


def reshape_function(sizes):
    """A function from a tensor's shape to that of its view: sizes are numbers, or products of axes."""

    def size_of(size, shape):
        if isinstance(size, int):
            return size
        product = size.get("times", 1)
        for axis in size["axes"]:
            product *= shape[axis]
        return product

    return lambda shape: [size_of(size, shape) for size in sizes]
