"""How sizes in memory and on disk are said: in decimal units, as disks and data sheets have them."""


def size_text(nbytes: int) -> str:
    """Return a number of bytes as people read it: ``"512 bytes"``, ``"1.5 MB"``."""
    if nbytes < 1000:
        return f"{nbytes} bytes"
    size, unit = float(nbytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.95:  # what rounds to 1000.0 takes the next unit
            break
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}"
