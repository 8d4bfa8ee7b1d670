"""The one error a user sees."""


class InputError(Exception):
    """An input, option or place for output that cannot be used.

    The message is one line in plain words that ends with what to do. It never holds a patient's identity.
    """
