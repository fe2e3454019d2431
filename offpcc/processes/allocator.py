"""The C library's allocator, set to keep the memory that an update frees."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of glibc's mallopt
BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Blocks up to 1 GiB are kept for reuse; gives whether the allocator could be set.

    Otherwise glibc returns every large tensor to the system and takes it anew, page by page, at
    each update: a tenth of the time of a recurrent one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        mallopt(name, BYTES) for name in (TRIM_THRESHOLD, MMAP_THRESHOLD)
    )
