"""The rules of the code and of its documents, as tests. None of them needs a server."""
