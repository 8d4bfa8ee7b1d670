# Nothing depends on this extension.
