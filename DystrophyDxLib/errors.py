"""What ends work early: an input that cannot be used, or the user."""


class InputError(Exception):
    """An input, option or place for output that cannot be used.

    The message is one line in plain words that ends with what to do. It never holds a patient's identity.
    """


class Cancelled(Exception):
    """The user stopped the work; nothing of it is left behind."""
