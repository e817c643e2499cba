"""descriptors: room for the sockets of a crowd, in this process and in the daemons that it starts."""
import contextlib
import resource

import pytest


@contextlib.contextmanager
def descriptors(needed):
    """Raises the limit of open files for the time of the block; skips the test where so many are not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, max(needed, 8192))
    if wanted < needed:
        pytest.skip(f"only {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
